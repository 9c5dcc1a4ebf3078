"""Runs to be disturbed: started together, watched at the simulator and in Airflow, and held to what they are to give.

All runs are of one workflow: a first task, seven services side by side, and a task that joins them. Each run has a
ticket, an input that stands in all of its prompts, so that the simulator's log tells whose request it took.
"""

from __future__ import annotations

import re
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import psutil

from chassis.files import Files, open_files
from chassis.ledger.entries import Opened
from chassis.ledger.journal import RunLedger
from chassis.local.processes import session_members
from chassis.local.simulator import SimulatorControl
from chassis.local.simulator.claude_request import ClaudeRequest
from chassis.local.stack import LocalStack
from chassis.local.stack_file import read_record
from chassis.plans.store import PlanStore
from chassis.workflow import ForEach, InputSpec, TaskSpec, WorkflowSpec
from tests.ledgers import entries_of, open_calls_of
from tests.system.driver import FINAL, AirflowDriver, await_plan, results_in_prompt, wait_for

SERVICES = ("availability", "claims", "contracts", "documents", "notifications", "pricing", "recommendation")
SURVEY, UPDATE, JOIN = "survey", "update", "join"
WORKFLOW = WorkflowSpec(
    schema_version=1,
    id="drill",
    title="Seven services between two tasks",
    requirement="Change seven services.",
    inputs={"ticket": InputSpec(type="string", default="none")},
    tasks=(
        TaskSpec(id=SURVEY, name="Survey", instruction="Survey all services for {ticket}."),
        TaskSpec(
            id=UPDATE,
            name="Update",
            instruction="Update {item}.",
            for_each=ForEach(items=SERVICES),
            depends_on=(SURVEY,),
        ),
        TaskSpec(id=JOIN, name="Join", instruction="Join what was changed.", depends_on=(UPDATE,)),
    ),
)
CALLS_OF_A_RUN = len(SERVICES) + 2

PATIENCE = 240.0
"""Seconds after which a run that has not ended counts as one that never will."""

_HELD, _QUICK = 600.0, 0.5  # seconds before an answer begins
_ON_ITS_WAY = 0.3  # seconds in which a message that a task's process has sent is dealt with
_TASK_PROCESS = re.compile(r"airflow worker -- ([0-9a-f-]{36})")


class Call(NamedTuple):
    """What is to be asked once."""

    ticket: str
    task: str
    item: str | None


class Site:
    """A stack of the drills' own, with their workflow in it."""

    def __init__(self, stack: LocalStack) -> None:
        assert stack.simulator_url
        self.stack = stack
        self.airflow = AirflowDriver(stack.url, stack.username, stack.password)
        self.simulator = SimulatorControl(stack.simulator_url)
        published = PlanStore(str(stack.home / "plans")).publish(WORKFLOW)
        await_plan(self.airflow, WORKFLOW.id, published.digest)


class Runs:
    """Runs that have started together, with calls that are not answered until :meth:`answer`."""

    def __init__(self, site: Site, count: int) -> None:
        self.site = site
        self.struck = 0.0
        self._before: list[dict[str, Any]] = []
        site.simulator.reset()
        site.simulator.set_latency(_HELD)
        tickets = [f"ticket-{uuid.uuid4().hex[:8]}" for _ in range(count)]
        self.ids = {ticket: site.airflow.trigger(WORKFLOW.id, {"ticket": ticket}) for ticket in tickets}

    # Moments.

    def until_services_start(self) -> None:
        """Wait until the first task of each run is done; whoever asks from now on is not answered for now."""
        self._until_in_flight(len(self.ids), SURVEY)
        self.answer()
        wait_for("answers to the first tasks", lambda: not self.in_flight(), every=0.02)
        self.site.simulator.set_latency(_HELD)

    def until_all_services_ask(self) -> None:
        """Wait until all calls of the services are in flight."""
        self.until_services_start()
        self._until_in_flight(len(self.ids) * len(SERVICES), UPDATE)
        self.struck = time.time()

    def until_workers_are_busy(self) -> None:
        """Wait until workers have begun to prepare the services' calls; most are still to be started."""
        self.until_services_start()
        wait_for("a worker at work", self.task_processes, every=0.02)
        self.struck = time.time()

    def answer(self) -> None:
        """Let those who have asked, and who will, be answered soon."""
        self.site.simulator.set_latency(_QUICK)

    def _until_in_flight(self, count: int, task: str) -> None:
        def all_ask() -> bool:
            return sum(call.task == task for call in self.in_flight()) >= count

        wait_for(f"{count} calls of {task} in flight", all_ask, seconds=PATIENCE, every=0.05)

    # What the simulator has seen.

    def requests(self) -> list[dict[str, Any]]:
        """All requests of these runs, also those that a simulator which was killed had taken."""
        return self._before + [request for request in self.site.simulator.requests() if request["body"]]

    def asked(self) -> Counter[Call]:
        return Counter(_call_of(request) for request in self.requests())

    def in_flight(self) -> list[Call]:
        return [_call_of(request) for request in self.requests() if request["ended"] is None]

    def unanswered(self) -> list[Call]:
        """Calls that have begun and whose answers are not yet recorded: what is in flight for those who ask."""
        return [
            Call(ticket, entry.task_id, entry.item)
            for ticket, run_id in self.ids.items()
            for entry in open_calls_of(self._records(), WORKFLOW.id, run_id)
        ]

    def remember_requests(self) -> None:
        """Take the log over before the simulator that has it is killed."""
        self._before = self.requests()

    # Processes.

    def component(self, name: str) -> psutil.Process:
        return psutil.Process(self.site.stack.processes[name])

    def task_processes(self) -> dict[str, psutil.Process]:
        """The processes that carry a task out now, by the task instance's id."""
        record = read_record(self.site.stack.home)
        assert record is not None
        found = {}
        for process in session_members(record.supervisor):
            with suppress(psutil.Error):
                if title := _TASK_PROCESS.match(" ".join(process.cmdline())):
                    found[title[1]] = process
        return found

    def stopped_services(self) -> dict[str, psutil.Process]:
        """Processes that prepare a service's call, one for each ticket where there is one, stopped (SIGSTOP)."""
        stopped = self.task_processes()
        for process in stopped.values():
            with suppress(psutil.Error):
                process.suspend()
        time.sleep(_ON_ITS_WAY if stopped else 0)
        caught = {}
        for ticket, run_id in self.ids.items():
            for instance in self.site.airflow.instances(WORKFLOW.id, run_id):
                wanted = instance["task_id"] == UPDATE and instance["state"] == "running"
                if wanted and instance["id"] in stopped:
                    caught[ticket] = stopped[instance["id"]]
        for process in stopped.values():
            if process not in caught.values():
                with suppress(psutil.Error):
                    process.resume()
        return caught

    # The end.

    def wait(self) -> float:
        """When the last run ended, in seconds since 1970; a run that doesn't is a fault that :meth:`faults` finds."""
        deadline = time.monotonic() + PATIENCE
        while not all(run["state"] in FINAL for run in self._states()) and time.monotonic() < deadline:
            time.sleep(0.25)
        ends = [run["end_date"] for run in self._states() if run["end_date"]]
        return max((datetime.fromisoformat(end).timestamp() for end in ends), default=time.time())

    def give_up(self) -> None:
        """Take what has not ended out of the way of the next drill."""
        for run in self._states():
            if run["state"] not in FINAL:
                path = f"/dags/{WORKFLOW.id}/dagRuns/{run['dag_run_id']}"
                self.site.airflow.http.patch(path, json={"state": "failed"})

    def faults(self) -> list[str]:
        """Everything that is not as it would be had nothing happened, but for requests made twice."""
        found = []
        for ticket, run_id in self.ids.items():
            states = self.site.airflow.states(WORKFLOW.id, run_id)
            if len(states) != CALLS_OF_A_RUN or set(states.values()) != {"success"}:
                found.append(f"{ticket} did not succeed: {states}")
                continue
            for task, index in states:
                found += self._faults_of(ticket, run_id, task, index)
            found += self._faults_of_ledger(ticket, run_id)
        return found

    def _faults_of(self, ticket: str, run_id: str, task: str, index: int) -> Iterator[str]:
        call = Call(ticket, task, SERVICES[index] if index >= 0 else None)
        requests = [request for request in self.requests() if _call_of(request) == call]
        successes = [one for one in self._tries(run_id, task, index) if one["state"] == "success"]
        if len(successes) != 1:
            yield f"{call} succeeded {len(successes)} times"
        result = self.site.airflow.result(WORKFLOW.id, run_id, task, index)
        answered = {request["request_id"] for request in requests if request["status"] == 200}
        if (result["task"], result["item"]) != call[1:] or not set(result["request_ids"]) <= answered:
            yield f"{call} has a result that is not its own: {result}"
        wanted = {SURVEY: [], UPDATE: [(SURVEY, None)], JOIN: [(UPDATE, service) for service in SERVICES]}
        for request in requests:
            if sorted(results_in_prompt(request)) != wanted[task]:
                yield f"{call} was asked with the results of {results_in_prompt(request)}"

    def _faults_of_ledger(self, ticket: str, run_id: str) -> Iterator[str]:
        entries = entries_of(self._records(), WORKFLOW.id, run_id)
        opened = Counter(
            Call(ticket, entry.task_id, entry.item) for entry in entries if isinstance(entry, Opened)
        )
        asked = Counter({call: count for call, count in self.asked().items() if call.ticket == ticket})
        if unknown := asked - opened:
            yield f"requests that the ledger doesn't know: {unknown}"
        if left := RunLedger(self._records(), WORKFLOW.id, run_id).totals().open_calls:
            yield f"{left} calls of {ticket} are still open in the ledger"

    def _records(self) -> Files:
        return open_files(str(self.site.stack.home / "records"), what="record store")

    def tries_beyond_the_first(self) -> int:
        tries = 0
        for run_id in self.ids.values():
            for task, index in self.site.airflow.states(WORKFLOW.id, run_id):
                tries += len(self._tries(run_id, task, index)) - 1
        return tries

    def _tries(self, run_id: str, task: str, index: int) -> list[dict[str, Any]]:
        path = f"/dags/{WORKFLOW.id}/dagRuns/{run_id}/taskInstances/{task}"
        place = f"/{index}" if index >= 0 else ""
        return list(self.site.airflow.get(f"{path}{place}/tries")["task_instances"])

    def _states(self) -> list[dict[str, Any]]:
        airflow = self.site.airflow
        return [airflow.get(f"/dags/{WORKFLOW.id}/dagRuns/{run_id}") for run_id in self.ids.values()]


def _call_of(request: dict[str, Any]) -> Call:
    prompt = ClaudeRequest(request["model"], request["body"], request["stream"])
    return Call(str(prompt.json_of("inputs")["ticket"]), request["task"], request["item"])
