"""What Airflow asks a person about a plan, and the person's answer.

Airflow 3.3 keeps the request's text and fields from the first time, over clears, retries and revisions, and shows them
in its own form, so they are the same for every plan. Whoever answers can fill in any field, and Airflow checks none of
them; its form turns texts that look like numbers or objects into these.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from chassis.approval_policy import answer_text
from chassis.contract.addresses import Links
from chassis.contract.names import PLAN_OPTIONS
from chassis.settings import airflow_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MAX_COMMENT = 10_000
"""Characters of a comment, which goes into the planning agent's prompt."""


@dataclass(frozen=True)
class Answer:
    """A person's answer.

    :ivar option: one of ``PLAN_OPTIONS``
    :ivar plan: the plan's code or digest, as the person gave it
    :ivar edited: YAML of a plan to use instead of the proposal; empty if there is none
    :ivar at: ISO 8601 time
    """

    option: str
    plan: Any
    comment: str
    edited: str
    by: str
    by_id: str
    at: str

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> Answer:
        """The answer that Airflow resumes a task with."""
        fields, person = event["params_input"] or {}, event["responded_by_user"] or {}
        at = event["responded_at"]
        return cls(
            option=next(iter(event["chosen_options"]), ""),
            plan=fields.get("plan"),
            comment=answer_text(fields.get("comment")).strip(),
            edited=answer_text(fields.get("edited_plan")).strip(),
            by=str(person.get("name") or person.get("id") or ""),
            by_id=str(person.get("id") or ""),
            at=(at if isinstance(at, datetime) else datetime.fromisoformat(at)).isoformat(),
        )


def ask(ti: Any, approvers: Iterable[str]) -> None:
    """Make Airflow accept an answer for a task, and forget an earlier one.

    :param approvers: ids of the users who may answer; none: whoever may edit the run
    """
    from airflow.sdk.execution_time.hitl import HITLUser, upsert_hitl_detail

    upsert_hitl_detail(
        ti_id=ti.id,
        options=list(PLAN_OPTIONS),
        subject="Approve the plan",
        body=f"[Open the plan]({plan_page(ti.dag_id, ti.run_id)}): what it changes, what it will take, and a form to "
        "decide.\n\nOr decide here, with the plan's code from that page. **Approve** publishes the plan. **Revise** "
        "asks Claude for another one, with your comment. **Reject** ends the planner.",
        params=_fields(),
        assigned_users=[HITLUser(id=user, name=user) for user in map(str.strip, approvers) if user],
    )


def plan_page(dag_id: str, run_id: str) -> str:
    """Path of the page that shows the plan of a planner's run, as the browser must request it."""
    return Links(airflow_path()).plan(dag_id, run_id)


def _fields() -> dict[str, dict[str, Any]]:

    def field(title: str, description: str, **more: str) -> dict[str, Any]:
        schema = {"type": ["string", "null"], "title": title, **more}
        return {"value": None, "description": description, "schema": schema, "source": "task"}

    lines = {"format": "multiline"}
    return {
        "plan": field("Plan", "Code of the plan that you decide on, such as plan:0123456789ab."),
        "comment": field("Comment", "For a revision: what is to be changed.", **lines),
        "edited_plan": field("Edited plan", "YAML to approve in its place; empty: as proposed.", **lines),
    }
