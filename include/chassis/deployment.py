"""What a deployment offers plans, and what keeps a valid plan from running there.

``chassis.workflow`` judges a plan by itself. Only the deployment knows whether its agents exist, its models can be
asked, its services are in the catalogue, Airflow accepts its asset and its budget can be enforced: that depends on
the folder of agents, the catalogue, the connection and the installed providers. Whatever accepts a plan (the planner,
an edit, a saved amendment, ``chassis validate``, every publisher) asks here, so that an accepted plan becomes a DAG,
and no task of it fails for a reason that could be known beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from chassis.agents import PLANNER_AGENT, AgentDefinition, read_agents
from chassis.catalogue import load_catalogue
from chassis.claude.models import facts_of
from chassis.errors import PlanError, PlanFault
from chassis.workflow import load_plan, plan_warnings
from chassis.workflow.given import wrong_input
from chassis.workflow.model_ids import model_fault
from chassis.workflow.names import shown, suggestion
from chassis.workflow.plan_check import HINT
from chassis.workflow.plan_draft import place
from chassis.workflow.service_lists import service_faults

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chassis.agents import AgentFolder
    from chassis.catalogue import Catalogue
    from chassis.claude.connection_options import ClaudeOptions
    from chassis.settings import Settings
    from chassis.workflow import Limits, TaskSpec, WorkflowSpec


@dataclass(frozen=True)
class Deployment:
    """What is available to plans. Read again each time: files and connections change.

    :ivar folder: the agents, with the faults in their files
    :ivar catalogue: the services, with the faults in their file
    """

    settings: Settings
    folder: AgentFolder
    catalogue: Catalogue

    @classmethod
    def read(cls, settings: Settings) -> Deployment:
        """Read the files that the settings name.

        :raises DefinitionError: there is no agent at all, or the catalogue can't be read
        """
        return cls(settings, read_agents(settings.agents_folder), load_catalogue(settings.services_file))

    @cached_property
    def agents(self) -> Mapping[str, AgentDefinition]:
        """The agents that tasks may name, by name: all but the planning agent."""
        return {name: agent for name, agent in self.folder.agents.items() if name != PLANNER_AGENT}

    @cached_property
    def askable(self) -> Mapping[str, AgentDefinition]:
        """Those of :attr:`agents` whose model can be asked: what a planner may be offered."""
        return {
            name: agent
            for name, agent in self.agents.items()
            if not self._model_fault(agent.model) and not _refusals_of(agent)
        }

    @cached_property
    def connection(self) -> ClaudeOptions:
        """What the connection sets. Looks it up, which imports Airflow.

        :raises ConnectionSetupError: the connection's options are wrong
        """
        from chassis.claude.connection_options import connection_options

        return connection_options(self.settings.conn_id)

    @property
    def _names(self) -> frozenset[str]:
        """Names that the rules needn't report: a faulty agent file gets a better message."""
        return frozenset({*self.agents, *self.folder.wrong})

    def load(self, text: str | bytes, *, source: str = "") -> WorkflowSpec:
        """The plan in a YAML text, checked against the rules and this deployment.

        :raises PlanError: lists all faults
        """
        spec = load_plan(text, source=source, agents=self._names, services=self.catalogue.names)
        self.require(spec, subject=f"The plan {source}".rstrip())
        return spec

    def require(self, spec: WorkflowSpec, *, subject: str = "The plan", hint: str = HINT) -> None:
        """Refuse a plan that can't run here.

        :raises PlanError: lists all faults
        """
        if faults := self.faults(spec):
            raise PlanError(faults, subject=subject, hint=hint)

    def faults(self, spec: WorkflowSpec) -> list[PlanFault]:
        """Everything that keeps the plan from running here; the plan itself obeys the rules."""
        found = [*service_faults(spec, self.catalogue.names), *self._schedule_faults(spec)]
        for task in spec.tasks:
            wrong = [*self._agent_faults(task), *self._model_faults(task), *self._thinking_faults(task)]
            found += wrong or self._price_faults(spec, task)
        return list(dict.fromkeys(found))

    def warnings(self, spec: WorkflowSpec) -> list[PlanFault]:
        """What the plan may mean otherwise, and faults in files that it doesn't need."""
        return [*plan_warnings(spec, self.catalogue.names), *self.folder.faults, *self.catalogue.faults]

    def _agent_faults(self, task: TaskSpec) -> Iterator[PlanFault]:
        named = shown(task.agent)
        if task.agent in self.agents:
            return
        if wrong := self.folder.wrong.get(task.agent):
            whose = "; ".join(str(each) for each in wrong)
            message = f"names the agent {named}, whose file is wrong: {whose}"
            yield PlanFault("wrong_agent", place(task), message)
        else:
            message = f"names an agent that doesn't exist: {named}{suggestion(task.agent, self.agents)}"
            yield PlanFault("unknown_agent", place(task), message)

    def _model_faults(self, task: TaskSpec) -> Iterator[PlanFault]:
        agent = self.agents.get(task.agent)
        if wrong := self._model_fault(task.model or (agent.model if agent else None)):
            whose = "model" if task.model else f"the model of its agent {shown(task.agent)}"
            yield PlanFault("bad_model", place(task), f"{whose}: {wrong}")

    def _model_fault(self, model: str | None) -> str | None:
        if model is None or model_fault(model, ()) is None:
            return None
        options = self.connection
        return model_fault(
            model, {self.settings.model, *filter(None, [options.model]), *options.model_behind}
        )

    def _thinking_faults(self, task: TaskSpec) -> Iterator[PlanFault]:
        """Settings of thinking and effort that the model certainly refuses together."""
        agent = self.agents.get(task.agent)
        model = task.model or (agent.model if agent else None)
        own = facts_of(model).refusals(task.thinking, task.effort) if model else {}
        for name, why in own.items():
            yield PlanFault("bad_thinking", place(task), f"{name}: {why}")
        if agent is None or task.model is not None:
            return
        for name, why in _refusals_of(agent).items():
            if getattr(task, name) is None:
                yield PlanFault(
                    "bad_thinking", place(task), f"the {name} of its agent {shown(task.agent)}: {why}"
                )

    def require_limits(self, limits: Limits) -> None:
        """Refuse a limit in dollars that no plan could enforce: else a plan is paid for that can't be published.

        :raises PlanError: no agent has a model whose price is known
        """
        faults = [self._unpriced(limits, agent.model) for agent in self.askable.values()]
        if faults and (wrong := faults[0]) and all(faults):
            raise wrong_input(PlanFault("price_unknown", "limits", wrong))

    def _price_faults(self, spec: WorkflowSpec, task: TaskSpec) -> Iterator[PlanFault]:
        """A limit in dollars without a known price can't be enforced: the first call would be refused."""
        if wrong := self._unpriced(spec.limits, task.model or self.agents[task.agent].model):
            yield PlanFault("price_unknown", place(task), wrong)

    def _unpriced(self, limits: Limits, model: str | None) -> str | None:
        in_tokens = limits.max_tokens or self.settings.run_max_tokens
        of_task = limits.per_task
        owners = (
            ("limits.budget_usd", limits.budget_usd, in_tokens),
            ("[chassis] run_budget_usd", self.settings.run_budget_usd, in_tokens),
            ("limits.per_task.budget_usd", of_task.budget_usd, of_task.max_tokens or in_tokens),
        )
        owner = next((name for name, usd, held in owners if usd is not None and not held), None)
        if owner is None:
            return None
        from chassis.claude.prices import cost_usd
        from chassis.contract.usage import Usage

        model = model or self.connection.model or self.settings.model
        if cost_usd(self.connection.behind(model), Usage()) is not None:
            return None
        return (
            f"the price of model {shown(model)} isn't known, so {owner} can't be held; add max_tokens beside it, name "
            "a model whose price is known, or name the model behind it as model_behind of the connection"
        )

    @staticmethod
    def _schedule_faults(spec: WorkflowSpec) -> Iterator[PlanFault]:
        """What Airflow says of the asset, with the checks of the providers installed here."""
        if spec.schedule is None or spec.schedule.asset is None:
            return
        from airflow.sdk import Asset

        try:
            Asset(spec.schedule.asset)
        except Exception as error:  # noqa: BLE001  a provider's check may raise anything
            message = f"asset {shown(spec.schedule.asset)} is not one that Airflow takes: {error}"
            yield PlanFault("bad_asset", "schedule", message)


def _refusals_of(agent: AgentDefinition) -> dict[str, str]:
    """What the model of an agent's file refuses of that file's thinking and effort."""
    return facts_of(agent.model).refusals(agent.thinking, agent.effort) if agent.model else {}
