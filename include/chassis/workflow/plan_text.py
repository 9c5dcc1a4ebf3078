"""A plan as text, for people and for the plan store, and its digest."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from chassis.errors import PlanError
from chassis.workflow.plan_check import HINT, check_plan, size_faults
from chassis.workflow.yaml_text import YamlError, read_yaml, write_yaml

if TYPE_CHECKING:
    from collections.abc import Collection

    from chassis.workflow.spec import WorkflowSpec


def load_plan(
    text: str | bytes,
    *,
    source: str = "",
    agents: Collection[str] | None = None,
    services: Collection[str] | None = None,
) -> WorkflowSpec:
    """The plan in a YAML text.

    :param source: where the text is from, for the error's first line: a file's path, an id with its revision
    :param agents: names of the agents that tasks may name; None: any
    :param services: names of the services that lists of services may name; None: any
    :raises PlanError: lists all faults
    """
    subject = f"The plan {source}" if source else "The plan"
    try:
        data = read_yaml(text)
    except YamlError as error:
        raise PlanError(error.faults, subject=subject, hint=HINT) from None
    return check_plan(data, agents=agents, services=services, subject=subject)


def dump_plan(spec: WorkflowSpec) -> str:
    """The plan as YAML that :func:`load_plan` reads as an equal plan, without defaults and in its order.

    :raises PlanError: it is too long to be read again
    """
    text = write_yaml(spec.model_dump(mode="json", exclude_defaults=True))
    if faults := list(size_faults(text)):
        raise PlanError(faults, hint=HINT)
    return text


def plan_digest(spec: WorkflowSpec) -> str:
    """SHA-256 of what the plan says, as 64 hex digits: the identity of a plan's content.

    It leaves out the provenance, because the same plan made again is the same plan; the order of keys, which no
    reader of a mapping can rely on; and defaults, so that a field that a later Chassis adds changes no digest. The
    order of tasks, items and dependencies counts.
    """
    content = spec.model_dump(mode="json", exclude={"provenance"}, exclude_defaults=True)
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()
