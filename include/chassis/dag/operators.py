"""The operators that the factory puts into a workflow's DAG.

Nothing that a person or a model wrote is a template field, with one exception: ``item``, because Airflow resolves
a mapped argument only for template fields. A resolved item is not rendered again, so an item named ``{{ 1 }}``
stays that text (``tests/system`` holds it).
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator

from chassis.dag.calls import Accounts, Outcome, PlanCall, TaskCall
from chassis.dag.cards import CARD_KEY, card_of, card_on_error
from chassis.dag.retry import ClaudeRetryPolicy
from chassis.dag.triggers import SPENDING_KEY, ClaudeTrigger
from chassis.errors import ChassisError, ItemsError, StoppedError, restore_error
from chassis.ledger.identity import CallIdentity
from chassis.ledger.limits import RunLimits
from chassis.settings import Settings
from chassis.workflow import Limits, TaskSpec, check_items

if TYPE_CHECKING:
    from airflow.sdk import Context

    from chassis.execution import UpstreamResult
    from chassis.records.amendments import Amended

ERROR_KEY = "error"
"""XCom key under which a failed task leaves ``ChassisError.describe()``, for ``chassis status`` and other readers."""


class CallingOperator(BaseOperator):
    """Has calls to Claude made on its task's account; when it makes which is a subclass's matter.

    :param aws_conn_id: Airflow connection that reaches Bedrock; None takes the setting ``[chassis] conn_id``
    :param deferrable: None takes the setting ``[chassis] deferrable``
    """

    ui_color = "#f3e6dc"
    _cancel: Callable[[], object] | None = None

    def __init__(
        self, *, aws_conn_id: str | None = None, deferrable: bool | None = None, **kwargs: Any
    ) -> None:
        kwargs.setdefault("retry_policy", ClaudeRetryPolicy())
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.deferrable = deferrable

    def load_settings(self) -> Settings:
        """The deployment's settings, with this operator's own connection.

        :raises SettingsError: names each option that can't be used
        """
        settings = Settings.load()
        return settings.model_copy(update={"conn_id": self.aws_conn_id}) if self.aws_conn_id else settings

    def defers(self, settings: Settings) -> bool:
        """Whether calls are made in the triggerer, and not in the worker."""
        return settings.deferrable if self.deferrable is None else self.deferrable

    def accounts(
        self, context: Context, settings: Settings, *, limits: Limits | None = None, item: str | None = None
    ) -> Accounts:
        """Who pays for the call: the run, the task and the item, with the limits of the plan and the deployment."""
        ti, dag_run = context["ti"], context["dag_run"]
        timeout = self.execution_timeout or timedelta(minutes=settings.task_timeout_minutes)
        return Accounts(
            identity=CallIdentity(
                dag_id=ti.dag_id,
                run_id=ti.run_id,
                clear_number=dag_run.clear_number or 0,
                task_id=ti.task_id,
                item=item,
                map_index=ti.map_index,
                try_number=ti.try_number,
            ),
            limits=RunLimits.of(limits, settings),
            timeout_seconds=timeout.total_seconds(),
            records_root=settings.records_root,
            storage_conn_id=settings.storage_conn_id,
            trace_content=settings.trace_content,
            transcripts=settings.transcript_days > 0,
        )

    async def _perform(self, call: TaskCall | PlanCall) -> Outcome:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None, "asyncio.run makes a task"
        self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        try:
            return await call.perform(shared=False)
        except asyncio.CancelledError:
            return Outcome(error=StoppedError("The task was stopped, and its call to Claude with it."))

    def on_kill(self) -> None:
        """End the call in flight: nothing is spent for a task that was stopped or cleared."""
        if self._cancel is not None:
            self._cancel()


class ClaudeOperator(CallingOperator):
    """Asks Claude on Bedrock; how the request is made up is a subclass's matter.

    The worker prepares the call, the triggerer makes it and ends the task (``chassis.dag.triggers``); with
    ``deferrable=False`` the worker does both and keeps its slot meanwhile. Either way the result is the XCom.
    """

    @abstractmethod
    def prepare(self, context: Context, settings: Settings) -> TaskCall | PlanCall:
        """Make the call up from the run's context. Runs in a worker and must not import the Claude SDK."""

    def carried(
        self, context: Context, settings: Settings, call: TaskCall | PlanCall
    ) -> dict[str, Any] | None:
        """A result that is there already and makes the call needless; None when there is none."""
        return None

    def execute(self, context: Context) -> dict[str, Any] | None:
        settings = self.load_settings()
        with reported(self, context):
            with card_on_error(context):
                call = self.prepare(context, settings)
                carried = self.carried(context, settings, call)
            if carried is not None:
                context["ti"].xcom_push(CARD_KEY, card_of(result=carried))
                return carried
            if self.defers(settings):
                self.defer(
                    trigger=ClaudeTrigger(call.model_dump(mode="json")),
                    method_name=self.resume.__name__,
                    timeout=self.execution_timeout,
                )
            outcome = asyncio.run(self._perform(call))
            if outcome.spending is not None:
                context["ti"].xcom_push(SPENDING_KEY, outcome.spending)
            card = card_of(result=outcome.result, error=outcome.error, spending=outcome.spending)
            context["ti"].xcom_push(CARD_KEY, card)
            if outcome.error is not None:
                raise outcome.error
            return outcome.result

    def resume(self, context: Context, event: dict[str, Any]) -> None:
        """Raise in a worker what failed in the triggerer, so that the retry policy decides on it."""
        with reported(self, context):
            raise restore_error(event)


@contextmanager
def reported(operator: BaseOperator, context: Context) -> Iterator[None]:
    """Log a :class:`ChassisError` as one clear sentence and leave it as an XCom before Airflow sees it."""
    try:
        yield
    except ChassisError as error:
        operator.log.error("%s: %s", type(error).__name__, error)  # noqa: TRY400  the traceback follows anyway
        context["ti"].xcom_push(ERROR_KEY, error.describe())
        raise


@dataclass(frozen=True)
class Dependency:
    """One declared dependency, and which of its instances a task reads.

    ``one``: the dependency is not mapped. ``same``: both are steps of one mapped group and each item reads its
    own. ``all``: the dependency is mapped and the task joins all of its items.
    """

    task_id: str
    instances: Literal["one", "same", "all"]


class ClaudeTaskOperator(ClaudeOperator):
    """Does one task of a plan, or one item of it; in a hand-written DAG, a task that the DAG's author specifies.

    :param spec: the task as the plan has it
    :param requirement: the plan's requirement, verbatim
    :param inputs: names of the plan's inputs; their values are the run's params
    :param dependencies: whose results the prompt holds: the declared dependencies and nobody else
    :param limits: what a run, and each task of it, may spend
    :param item: the item of a mapped task
    :param item_inputs: names of the inputs that a fan-out of the plan goes through
    """

    template_fields: Collection[str] = ("item",)

    def __init__(
        self,
        *,
        spec: TaskSpec,
        requirement: str,
        inputs: Sequence[str] = (),
        dependencies: Sequence[Dependency] = (),
        limits: Limits | None = None,
        item: str | None = None,
        item_inputs: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(task_id=spec.id, **kwargs)
        self.spec = spec
        self.requirement = requirement
        self.inputs = tuple(inputs)
        self.dependencies = tuple(dependencies)
        self.limits = limits or Limits()
        self.item = item
        self.item_inputs = tuple(item_inputs)

    def prepare(self, context: Context, settings: Settings) -> TaskCall:
        from chassis.agents import load_agent
        from chassis.catalogue import load_catalogue
        from chassis.claude.options import connection_model
        from chassis.execution import build_request, fingerprint

        agent = load_agent(settings.agents_folder, self.spec.agent)
        catalogue = load_catalogue(settings.services_file)
        params: Mapping[str, Any] = context["params"]
        amended = self._amended(context, settings)
        # The run may have gone on to a plan that has an amended input no more.
        task, inputs = self.spec, {name: amended.inputs.get(name, params[name]) for name in self.inputs}
        if amended.instruction is not None:
            task = task.model_copy(update={"instruction": amended.instruction})
        told: dict[str, Any] = {
            "agent": agent,
            "inputs": inputs,
            "task": task,
            "item": self.item,
            "service": catalogue.find(self.item) if self.item else None,
            "results": self._results(context),
            "model": self.spec.model or agent.model or connection_model(settings.conn_id) or settings.model,
        }
        request = build_request(requirement=self.requirement, settings=settings, **told)
        return TaskCall(
            conn_id=settings.conn_id,
            request=request,
            accounts=self.accounts(context, settings, limits=self.limits, item=self.item),
            output_schema=self.spec.output_schema,
            repairs=settings.repair_attempts,
            fingerprint=fingerprint(item_inputs=self.item_inputs, **told),
            amendment=amended.numbers[-1] if amended.numbers else None,
        )

    def _amended(self, context: Context, settings: Settings) -> Amended:
        """What a person has changed for this task in this run.

        :raises ChassisError: it can't be told, so the task must not run
        """
        from chassis.files import open_files
        from chassis.records.amendments import Amended, Amendments

        if not context["dag_run"].clear_number:
            # An amended task was cleared. Most runs need not look, which on S3 takes a second.
            return Amended()
        files = open_files(settings.records_root, settings.storage_conn_id, what="record store")
        ti = context["ti"]
        amended = Amendments(files, ti.dag_id, ti.run_id).of(ti.task_id, self.item)
        for number in amended.numbers:
            self.log.info("By amendment %d of this run.", number)
        return amended

    def carried(
        self, context: Context, settings: Settings, call: TaskCall | PlanCall
    ) -> dict[str, Any] | None:
        """The result of the run that this one continues, if the task was told the same there."""
        from chassis.dag.carrying import carried_result

        assert isinstance(call, TaskCall), "prepare makes one"
        return carried_result(context, settings, call)

    def _results(self, context: Context) -> list[UpstreamResult]:
        from chassis.execution import UpstreamResult

        ti = context["ti"]
        found: list[Any] = []
        for dependency in self.dependencies:
            if dependency.instances == "all":
                found += ti.xcom_pull(task_ids=[dependency.task_id])
            else:
                index = ti.map_index if dependency.instances == "same" else -1
                found.append(ti.xcom_pull(task_ids=dependency.task_id, map_indexes=index))
        return [UpstreamResult.of(value) for value in found if value is not None]


class ItemsOperator(BaseOperator):
    """Finds the items of a fan-out when the run knows them: in an input, or in an upstream task's output.

    Items are checked as a plan's literal items are, and keep their order: an item's place is its identity in
    Airflow, for a clear and for a rerun.

    :param source: the input's name, or the upstream task's id
    :param path: for an upstream task, the dotted way through its output to the list; empty for the output itself
    :param of_input: whether ``source`` names an input
    """

    ui_color = "#e8e8e8"

    def __init__(self, *, source: str, of_input: bool, path: str = "", **kwargs: Any) -> None:
        kwargs.setdefault("retry_policy", ClaudeRetryPolicy())
        super().__init__(**kwargs)
        self.source = source
        self.of_input = of_input
        self.path = path

    def execute(self, context: Context) -> list[str]:
        with reported(self, context), card_on_error(context):
            items = self._find(context)
            if faults := check_items(items):
                place = f"input '{self.source}'" if self.of_input else f"the output of task '{self.source}'"
                raise ItemsError(
                    f"The items in {place} can't be used: {'; '.join(faults)}.",
                    hint="Start a run with other inputs, or clear the upstream task.",
                )
            if not items:
                self.log.warning("There are no items: the mapped tasks and what depends on them are skipped.")
            return list(items)

    def _find(self, context: Context) -> Any:
        if self.of_input:
            return context["params"][self.source]
        value = context["ti"].xcom_pull(task_ids=self.source, map_indexes=-1)["output"]
        for key in filter(None, self.path.split(".")):
            if not isinstance(value, Mapping) or key not in value:
                raise ItemsError(
                    f"The output of task '{self.source}' has nothing at '{self.path}' (looked for '{key}').",
                    hint=f"Give the task an output_schema that requires '{self.path}', then plan again.",
                )
            value = value[key]
        return value


class PlanErrorOperator(BaseOperator):
    """The one task of a workflow whose plan can't be built: it fails with the reason."""

    ui_color = "#f5c6c6"

    def __init__(self, *, reason: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason

    def execute(self, context: Context) -> None:
        raise ChassisError(self.reason)


def timeout_of(spec: TaskSpec, settings: Settings) -> timedelta:
    """How long one try of the task may take."""
    return timedelta(minutes=spec.timeout_minutes or settings.task_timeout_minutes)
