"""What the model itself refuses in a request that is well formed: a form of answer, a version, thinking, effort.

The words are those that people have reported of Bedrock, each with its place in the model's file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chassis.local.simulator.constrained_decoding import check_decodable
from chassis.local.simulator.simulator_errors import ApiError
from chassis.local.simulator.thinking_blocks import check_history

if TYPE_CHECKING:
    from chassis.local.simulator.model_files import Model

_BY_THE_MODEL = "The model returned the following errors: "
_USE_ADAPTIVE = 'Use "thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'


def check_features(body: dict[str, Any], model: Model) -> None:
    """Refuse what this model doesn't take.

    :raises ApiError: 400 or what the model's ``status`` says, in the model's shape
    """
    if body["anthropic_version"] not in model.versions:
        taken = " or ".join(f"'{version}'" for version in model.versions)
        raise model.refusal(f"anthropic_version: Input should be {taken}")
    _check_effort(body, model)
    _check_thinking(body, model)
    _check_format(body, model)
    _check_forced_tool(body, model)
    check_history(body, model)


def as_throttled(error: ApiError, model: Model) -> ApiError:
    """A quota's refusal as this model gives it to one who asked for a stream."""
    if model.throttled == "before":
        return error
    words = error.message if "per day" in error.message else "Rate limited"
    return ApiError(
        429, error.error_type, words, retry_after=error.retry_after, form="anthropic", in_stream=True
    )


def asks_to_think(body: dict[str, Any]) -> bool:
    """Whether the request itself switches thinking on."""
    return (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")


def _check_effort(body: dict[str, Any], model: Model) -> None:
    effort = (body.get("output_config") or {}).get("effort")
    if effort is None or effort in model.efforts:
        return
    if not model.efforts:
        raise model.refusal("This model does not support the effort parameter.")
    taken = ", ".join(model.efforts)
    raise model.refusal(
        f"output_config.effort: '{effort}' is not supported by this model; supported values: {taken}"
    )


def _check_thinking(body: dict[str, Any], model: Model) -> None:
    thinking = body.get("thinking")
    if thinking is None:
        return
    kind = thinking.get("type")
    if kind == "adaptive" and kind not in model.thinking:
        raise model.refusal("adaptive thinking is not supported on this model")
    if kind not in model.thinking:
        raise model.refusal(f'"thinking.type.{kind}" is not supported for this model. {_USE_ADAPTIVE}')
    effort = (body.get("output_config") or {}).get("effort")
    if kind == "disabled" and effort and model.disabled_up_to:
        beyond = model.efforts[model.efforts.index(model.disabled_up_to) + 1 :]
        if effort in beyond:
            raise model.refusal(f'"thinking.type.disabled" is not supported with effort "{effort}".')
    if kind == "enabled":
        budget = thinking.get("budget_tokens")
        if not isinstance(budget, int) or budget < 1024:
            raise model.refusal(
                "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
            )
        if budget >= body["max_tokens"]:
            raise model.refusal("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_format(body: dict[str, Any], model: Model) -> None:
    asked = (body.get("output_config") or {}).get("format")
    if not asked:
        return
    if model.format == "refused":
        raise _form_refusal(model, "output_config.format: Extra inputs are not permitted")
    if model.format == "too_complex":
        raise _form_refusal(model, "The compiled grammar is too large, which would cause performance issues.")
    try:
        check_decodable(asked["schema"])
    except ApiError as error:
        raise _form_refusal(model, error.message) from None


def _check_forced_tool(body: dict[str, Any], model: Model) -> None:
    if (body.get("tool_choice") or {}).get("type") not in ("tool", "any"):
        return
    if model.forced_tool == "refused":
        raise _form_refusal(model, 'tool_choice: type "tool" and "any" are not supported for this model.')
    if model.forced_tool == "unless_thinking" and asks_to_think(body):
        raise _form_refusal(model, "Thinking may not be enabled when tool_choice forces tool use.")


def _form_refusal(model: Model, message: str) -> ApiError:
    return model.refusal(message if model.shape == "anthropic" else _BY_THE_MODEL + message)
