"""``chassis up``, ``down``, ``doctor`` and ``simulator``: the local stack."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from chassis.cli.arguments import finite
from chassis.cli.commands.shared_options import HOME, BedrockOption, HomeOption, JsonOption
from chassis.cli.console import out, print_json, tell
from chassis.cli.exit_codes import FAILED, exit_code, reports_errors, show_error
from chassis.errors.client import UsageError
from chassis.figures import counted, dollars

ScenarioOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--scenario",
        help="File that says what the simulator answers; any number of them.",
        show_default=False,
    ),
]


@reports_errors
def up(
    port: Annotated[
        int | None,
        typer.Option("--port", help="Port of Airflow.", show_default="a free one", min=1, max=65535),
    ] = None,
    bedrock: BedrockOption = False,
    scenario: ScenarioOption = None,
    home: HomeOption = HOME,
) -> None:
    """Start the local Airflow, unless it is running."""
    from chassis.cli.render import SIMULATED
    from chassis.cli.target import start
    from chassis.local.stack import running_stack

    started = start(home, bedrock=bedrock, port=port, tell=tell)
    record = running_stack(home)
    assert record is not None, "start() ends with a running stack"
    _add_scenarios(record.simulator_url, scenario or [])
    answers = f"simulator at {record.simulator_url} ({SIMULATED})" if record.simulated else "Amazon Bedrock"
    facts = {
        "Airflow": f"{record.url}" + ("" if started else "  (was already running)"),
        "User": record.username,
        "Password": f"in {record.password_file}",
        "Answers from": answers,
        "Logs": str(home / "logs"),
        "End it": "chassis down" if home == HOME.absolute() else f"chassis down --home {home}",
    }
    console = out()
    for name, value in facts.items():
        console.print(Text(f"{name + ':':<14}", style="bold").append(value, style="not bold"))


def _add_scenarios(simulator_url: str | None, files: list[Path]) -> None:
    from chassis.errors.client import StackError
    from chassis.local.simulator import SimulatorControl, SimulatorError
    from chassis.local.simulator.scenario import read_document

    if files and simulator_url is None:
        raise UsageError(
            "Amazon Bedrock answers here, not the simulator.",
            hint="Leave out --scenario, or unset AWS's variables.",
        )
    try:
        for file in files:
            SimulatorControl(simulator_url or "").add_scenario(read_document(file))
    except SimulatorError as error:
        raise StackError(str(error)) from None


@reports_errors
def down(home: HomeOption = HOME) -> None:
    """Stop the local Airflow and all its processes."""
    from chassis.local.stack import stop_stack

    if stop_stack(home):
        out().print(f"Stopped the local Airflow in {home}.")
    else:
        out().print(f"No local Airflow runs in {home}.")


@reports_errors
def doctor(
    bedrock: Annotated[
        bool,
        typer.Option("--bedrock", help="Ask the model what only AWS can answer, for $0.10 at most."),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --bedrock: don't ask before.")] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            help="With --bedrock: file for the report.",
            show_default="bedrock-check-TIME.md",
        ),
    ] = None,
    as_json: JsonOption = False,
    home: HomeOption = HOME,
) -> None:
    """Check Python, Airflow, its settings, the connection and the model, and suggest fixes."""
    if bedrock:
        _ask_bedrock(home, report, yes=yes, as_json=as_json)
    if yes or report is not None:
        raise UsageError(
            f"{'--yes' if yes else '--report'} belongs to --bedrock.", hint="Add --bedrock, or leave it out."
        )
    from chassis.cli.doctor import examine

    checks = examine(home)
    if as_json:
        print_json({"ok": all(check.ok for check in checks), "checks": [asdict(check) for check in checks]})
    else:
        console = out()
        for check in checks:
            console.print(check.line())
    raise typer.Exit(0 if all(check.ok for check in checks) else FAILED)


def _ask_bedrock(home: Path, report: Path | None, *, yes: bool, as_json: bool) -> NoReturn:
    """The live check instead of the usual one."""
    from chassis.cli.doctor_bedrock import check_bedrock, report_path

    path = report_path(report)
    document, error = check_bedrock(home, path, yes=yes)
    if as_json:
        print_json(document)
    else:
        simulated = " The simulator answered: this proves nothing about AWS." if document["simulated"] else ""
        spent = f"{counted(document['calls'], 'call')}, {dollars(document['usd'])}."
        out().print(
            f"{spent}{simulated} The report, {path}, holds no credentials, account or addresses; docs/bedrock.md says "
            "where to send it."
        )
    if error is not None:
        show_error(error)
    raise typer.Exit(0 if error is None else exit_code(error))


@reports_errors
def simulator(
    port: Annotated[
        int, typer.Option("--port", help="Port to listen on; 0 for a free one.", min=0, max=65535)
    ] = 8788,
    latency: Annotated[
        float, typer.Option("--latency", help="Seconds that an answer takes.", min=0, callback=finite)
    ] = 0.3,
    requests_per_second: Annotated[
        int | None,
        typer.Option("--requests-per-second", help="Refuse what is over.", show_default="no limit", min=1),
    ] = None,
    in_flight: Annotated[
        int | None,
        typer.Option("--in-flight", help="Refuse more at once.", show_default="no limit", min=1),
    ] = None,
    scenario: ScenarioOption = None,
) -> None:
    """Run the simulator of Amazon Bedrock alone, until Ctrl-C."""
    from chassis.errors.client import StackError
    from chassis.local.simulator.runner import serve
    from chassis.local.simulator.scenario import Quota
    from chassis.local.simulator.simulator_errors import SimulatorError

    quota = Quota(requests_per_second=requests_per_second, in_flight=in_flight)
    try:
        serve(port=port, latency=latency, quota=quota, scenario=scenario)
    except SimulatorError as error:
        raise StackError(str(error)) from None
