"""Plans for requirements: sums and new products properly, anything else generically. No model is asked."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from chassis.local.simulator.claude_request import ClaudeRequest

_NUMBER = r"[-+]?\d{1,40}(?:\.\d{1,40})?"
_SUM = re.compile(r"\bsum\b", re.IGNORECASE)
_ADDITION = re.compile(
    rf"\badd(?:ing)?\s+{_NUMBER}\s*(?:,|and|to)\s*{_NUMBER}|{_NUMBER}\s*(?:\+|plus)\s*{_NUMBER}",
    re.IGNORECASE,
)
_ALONE = rf"(?<![\w.]){_NUMBER}(?!\w|\.\d)"
_LIST = re.compile(rf"{_ALONE}(?:\s*(?:(?:,|\+|and|plus|to)\s*)+{_ALONE})+", re.IGNORECASE)
PRODUCT = re.compile(
    r"\badd\s+(?:an?\s+|the\s+|our\s+)?(?:new\s+)?(?P<product>\S.{0,80}?)\s+product\s+to\s+(?P<services>[^.\n]{1,400})",
    re.IGNORECASE,
)
_EVERY = re.compile(r"\b(?:all|every|each)\b", re.IGNORECASE)
_ID_CHARS = 60
_RESERVED = frozenset({"plan_workflow", "recurring_onboarding", "chassis_upkeep"})

_TYPES = ((bool, "boolean"), (int, "integer"), (float, "number"), (list, "array"))


@dataclass(frozen=True)
class Asked:
    """What the planner's request offers: the requirement, the services' names, the executing agent."""

    requirement: str
    services: tuple[str, ...]
    agent: str
    given: dict[str, Any]


def plan_for(request: ClaudeRequest) -> dict[str, Any]:
    """The plan as a dict; the answer's schema decides later which keys are kept."""
    asked = read_asked(request)
    product = PRODUCT.search(asked.requirement)
    services = named_services(product["services"], asked.services) if product else ()
    if product and services:
        plan = _product_plan(product["product"], services, asked)
    elif _wants_sum(asked.requirement):
        plan = _sum_plan(asked)
    else:
        plan = _generic_plan(asked)
    declared = {entry["name"] for entry in plan["inputs"]}
    plan["inputs"] += [new_input(name, value) for name, value in asked.given.items() if name not in declared]
    return plan


def service_names(catalogue: str) -> tuple[str, ...]:
    """The names in a catalogue's YAML: a list of names, of entries with a name, or a mapping by name."""
    try:
        data = yaml.safe_load(catalogue) if catalogue else None
    except yaml.YAMLError:
        return ()
    if isinstance(data, dict) and "services" in data:
        data = data["services"]
    entries = list(data) if isinstance(data, (list, dict)) else []
    names = [entry.get("name") if isinstance(entry, dict) else entry for entry in entries]
    return tuple(str(name) for name in names if name)


def numbers_in(text: str) -> list[str]:
    """The numbers of a text, as written: those of its first list ("5, 3 and 1", "5 + 3"), else all."""
    listed = _LIST.search(text)
    return re.findall(_ALONE, listed[0] if listed else text)


def _wants_sum(requirement: str) -> bool:
    asks = _ADDITION.search(requirement) or _SUM.search(requirement)
    return asks is not None and len(numbers_in(requirement)) > 1


def read_asked(request: ClaudeRequest) -> Asked:
    """What a planner's request offers."""
    return Asked(
        requirement=request.text_of("requirement") or request.user_text,
        services=service_names(request.text_of("catalogue")),
        agent=_executing_agent(request),
        given=request.json_of("inputs"),
    )


def _executing_agent(request: ClaudeRequest) -> str:
    names = re.findall(r"^([a-z][\w-]*):", request.text_of("agents"), re.MULTILINE)
    workers = [name for name in names if "plan" not in name]
    return "task-executor" if "task-executor" in names or not workers else workers[0]


def named_services(clause: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The services that a text names, in the catalogue's order; all of them for words such as "all"."""
    if _EVERY.search(clause):
        return known
    words = re.split(r"[^\w-]+", clause.lower())
    return tuple(name for name in known if name.lower() in words)


def _sum_plan(asked: Asked) -> dict[str, Any]:
    return {
        "id": _slug(asked.requirement),
        "title": title_of(asked.requirement),
        "inputs": [],
        "tasks": [
            new_task(
                "identify_numbers",
                "Identify the numbers",
                "Identify the numbers that the requirement wants added.",
                asked,
            ),
            new_task(
                "add_numbers",
                "Add the numbers",
                "Add the numbers that were identified.",
                asked,
                ["identify_numbers"],
            ),
            new_task(
                "report_result",
                "Report the result",
                "Report the sum in one sentence.",
                asked,
                ["add_numbers"],
            ),
        ],
    }


def _product_plan(product: str, services: tuple[str, ...], asked: Asked) -> dict[str, Any]:
    each = new_task(
        "update_service", "Update one service", "Add {product} to the product list of {item}.", asked
    )
    each["for_each"] = {"items": list(services)}
    return {
        "id": _slug(f"add {product}"),
        "title": title_of(f"Add the {product} product"),
        "inputs": [new_input("product", product, "The product to add.")],
        "tasks": [
            each,
            new_task(
                "update_contracts",
                "Update the contracts",
                "Add {product} to the contract templates, in line with what was changed in the services.",
                asked,
                ["update_service"],
            ),
            new_task(
                "update_admin_ui",
                "Update the admin UI",
                "Offer {product} in the admin UI, in line with the contracts.",
                asked,
                ["update_contracts"],
            ),
            new_task(
                "run_e2e_tests",
                "Run the end-to-end tests",
                "Check end to end that {product} can be sold.",
                asked,
                ["update_admin_ui"],
            ),
        ],
    }


def _generic_plan(asked: Asked) -> dict[str, Any]:
    return {
        "id": _slug(asked.requirement),
        "title": title_of(asked.requirement),
        "inputs": [],
        "tasks": [
            new_task(
                "analyse_requirement",
                "Analyse the requirement",
                "State what the requirement asks for.",
                asked,
            ),
            new_task(
                "do_work",
                "Do the work",
                "Do what the requirement asks for, following the analysis.",
                asked,
                ["analyse_requirement"],
            ),
            new_task(
                "review_result",
                "Review the result",
                "Check the work against the requirement.",
                asked,
                ["do_work"],
            ),
        ],
    }


def new_task(
    task_id: str, name: str, instruction: str, asked: Asked, depends_on: list[str] | None = None
) -> dict[str, Any]:
    """A task that is done once."""
    return {
        "id": task_id,
        "name": name,
        "instruction": instruction,
        "agent": asked.agent,
        "for_each": None,
        "depends_on": depends_on or [],
        "output_schema": None,
    }


def new_input(name: str, value: Any, description: str = "") -> dict[str, Any]:
    """An input with the type of its value."""
    kind = next((label for python, label in _TYPES if isinstance(value, python)), "string")
    return {
        "name": name,
        "type": kind,
        "default": value,
        "description": description or f"The {name}, as given.",
    }


def title_of(text: str) -> str:
    """A text as one line of eighty characters at most."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[:400]).split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def _slug(text: str) -> str:
    """An id from the text; a hash keeps apart what is long or has no Latin letters."""
    slug = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if slug and len(slug) <= _ID_CHARS and slug[0].isalpha() and slug not in _RESERVED:
        return slug
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    head = slug[:_ID_CHARS].rpartition("_")[0] or slug[:_ID_CHARS]
    return f"{head}_{mark}" if head[:1].isalpha() else f"workflow_{mark}"
