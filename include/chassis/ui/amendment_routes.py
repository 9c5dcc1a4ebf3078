"""Takes amendments: as a form from the task's page, as JSON from the command line."""

from __future__ import annotations

import json
from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.dagbag import DagBagDep
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, Request, status
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import ValidationError

from chassis.errors import PlanError
from chassis.settings import Settings
from chassis.ui.access_rules import Change, Routes, may
from chassis.ui.amended_reruns import AmendedRerun, AmendRequest, RunTarget, rerun_amended
from chassis.ui.page_links import links_of
from chassis.ui.run_facts import find_run
from chassis.ui.run_plans import plan_of_run

router = Routes()

INPUT_FIELD = "input:"
"""Prefix of form fields that hold an input's value."""


_BOXES = ("save", "downstream", "all_failed")
"""A form's check boxes, which browsers send only if ticked."""


async def _sent(request: Request) -> dict[str, Any]:
    """The request as fields of an :class:`AmendRequest`; a form's inputs are texts under :data:`INPUT_FIELD`.

    :raises HTTPException: 400, it is neither JSON nor a form
    """
    if _is_json(request):
        try:
            data = await request.json()
        except ValueError:
            raise HTTPException(status.HTTP_400_BAD_REQUEST, "The request body is not valid JSON.") from None
        if not isinstance(data, dict):
            raise HTTPException(status.HTTP_400_BAD_REQUEST, "The request body must be a JSON object.")
        return data
    async with request.form(max_files=0) as form:
        # Forms send CR LF as line ends.
        return {name: str(value).replace("\r\n", "\n") for name, value in form.items()}


@router.post(
    "/dags/{dag_id}/runs/{run_id:path}/tasks/{task_id}/{map_index}/amend",
    rule=Change(DagAccessEntity.TASK_INSTANCE),
)
def amend(
    request: Request,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int,
    sent: Annotated[dict[str, Any], Depends(_sent)],
    session: SessionDep,
    dag_bag: DagBagDep,
    user: GetUserDep,
) -> Response:
    """Amend a task and rerun it; redirect a browser to the task's page."""
    as_json = _is_json(request)
    target = RunTarget(session, dag_bag, user, Settings.load(), dag_id, run_id, task_id, map_index)
    try:
        asked = AmendRequest.model_validate(sent if as_json else _of_form(target, sent))
        if asked.save:
            _refuse_saving(target)
        done = rerun_amended(target, asked)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise HTTPException(status.HTTP_400_BAD_REQUEST, f"Invalid request: {faults}.") from None
    except PlanError as error:
        raise HTTPException(status.HTTP_400_BAD_REQUEST, str(error)) from None
    if as_json:
        return JSONResponse(_document(done))
    task_page = links_of(request).task(dag_id, run_id, task_id, map_index)
    return RedirectResponse(task_page, status.HTTP_303_SEE_OTHER)


def _refuse_saving(target: RunTarget) -> None:
    """Require the same rights to change the workflow's plan as to approve one.

    :raises HTTPException: 403
    """
    approvers = [name.strip() for name in target.settings.approvers.split(",") if name.strip()]
    if not may(target.user, "PUT", target.dag_id) or (approvers and target.user.get_id() not in approvers):
        raise HTTPException(
            status.HTTP_403_FORBIDDEN,
            "You can rerun this task, but you don't have permission to change the workflow's plan: leave out 'save'.",
        )


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")


def _document(done: AmendedRerun) -> dict[str, Any]:
    return {
        "amendment": done.amendment,
        "items": done.items,
        "cleared": [{"task_id": task_id, "map_index": index} for task_id, index in done.cleared],
        "revision": done.revision,
        "save_error": done.save_error,
    }


def _of_form(target: RunTarget, sent: dict[str, str]) -> dict[str, Any]:
    """Convert a form's fields to those of an :class:`AmendRequest`, with each input's text as a value of its type."""
    run = find_run(target.session, target.dag_id, target.run_id)
    plan = plan_of_run(target.settings, target.dag_id, run.bundle_version)
    types = {name: part.type for name, part in plan.spec.inputs.items()} if plan else {}
    inputs = {}
    for field in [field for field in sent if field.startswith(INPUT_FIELD)]:
        name, text = field.removeprefix(INPUT_FIELD), sent.pop(field)
        kind = types.get(name, "string")
        if text.strip() or kind == "string":
            inputs[name] = _value(text, kind)
    return {**sent, "inputs": inputs} | {name: name in sent for name in _BOXES}


def _value(text: str, kind: str) -> Any:
    """Parse a field: a list has an entry on each line. Text that can't be parsed stays text, for the checks to
    refuse.
    """
    if kind == "string":
        return text
    if kind == "array" and not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        return json.loads(text)
    except ValueError:
        return text
