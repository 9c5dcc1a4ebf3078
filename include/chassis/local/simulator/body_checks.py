"""What Bedrock refuses in a request's body, as far as documented, in the words that it is known to use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from chassis.local.simulator.simulator_errors import ApiError

if TYPE_CHECKING:
    from chassis.local.simulator.model_files import Model

_BREAKPOINTS = 4
_FORBID = ConfigDict(extra="forbid")


class _Message(BaseModel):
    model_config = _FORBID

    role: Literal["user", "assistant"]
    content: str | list[dict[str, Any]] = Field(min_length=1)


class _Format(BaseModel):
    model_config = _FORBID

    type: Literal["json_schema"]
    document: dict[str, Any] = Field(alias="schema")


class _OutputConfig(BaseModel):
    model_config = _FORBID

    format: _Format | None = None
    effort: str | None = None


class _Tool(BaseModel):
    model_config = ConfigDict(extra="allow")

    name: str
    input_schema: dict[str, Any] | None = None


class _Body(BaseModel):
    """The fields that Claude on Bedrock takes; the model id and ``stream`` are in the path, not here."""

    model_config = _FORBID

    anthropic_version: str
    max_tokens: int = Field(ge=1, strict=True)
    messages: list[_Message] = Field(min_length=1)
    system: str | list[dict[str, Any]] | None = None
    tools: list[_Tool] | None = None
    tool_choice: dict[str, Any] | None = None
    output_config: _OutputConfig | None = None
    anthropic_beta: list[str] | None = None
    context_management: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    stop_sequences: list[str] | None = None
    temperature: float | None = None
    thinking: dict[str, Any] | None = None
    top_k: int | None = None
    top_p: float | None = None


def check_body(data: Any, model: Model) -> dict[str, Any]:
    """The body, if it is well formed, whatever the model may do with it.

    :raises ApiError: 400, names the first field that is wrong, in the model's shape
    """
    try:
        return _checked(data)
    except ApiError as error:
        error.form = model.shape
        raise


def _checked(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise _refusal("Malformed input request, please reformat your input and try again.")
    try:
        body = _Body.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise _refusal(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None
    _check_turns(body)
    _check_blocks(body, data)
    _check_tools(body)
    _check_tool_results(body)
    return data


def _check_turns(body: _Body) -> None:
    if body.messages[0].role != "user":
        raise _refusal('messages: first message must use the "user" role')
    if body.messages[-1].role != "user":
        raise _refusal(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )


def _check_blocks(body: _Body, data: dict[str, Any]) -> None:
    contents = [*([body.system] if body.system else []), *(message.content for message in body.messages)]
    blocks = [block for content in contents for block in _as_blocks(content)]
    for block in blocks:
        if "type" not in block:
            raise _refusal("messages: content blocks must have a type")
        if block["type"] == "text" and not str(block.get("text", "")).strip():
            raise _refusal("messages: text content blocks must contain non-whitespace text")
    marks = [
        block["cache_control"]
        for block in [*blocks, *(data.get("tools") or [])]
        if block.get("cache_control")
    ]
    for mark in marks:
        if (
            not isinstance(mark, dict)
            or mark.get("type") != "ephemeral"
            or mark.get("ttl", "5m") not in ("5m", "1h")
        ):
            raise _refusal("messages: cache_control must be ephemeral, with a ttl of '5m' or '1h'")
    marked = len(marks)
    if marked > _BREAKPOINTS:
        raise _refusal(
            f"A maximum of {_BREAKPOINTS} blocks with cache_control may be provided. Found {marked}."
        )


def _check_tool_results(body: _Body) -> None:
    """A tool that was called is answered in the next message, and nothing else is."""
    called: set[str] = set()
    for number, message in enumerate(body.messages):
        blocks = _as_blocks(message.content)
        returned = {str(block.get("tool_use_id")) for block in blocks if block.get("type") == "tool_result"}
        if unknown := sorted(returned - called):
            raise _refusal(
                f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {', '.join(unknown)}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if missing := sorted(called - returned):
            raise _refusal(
                f"messages.{number - 1}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in the "
                "next message."
            )
        called = {str(block.get("id")) for block in blocks if block.get("type") == "tool_use"}


def _as_blocks(content: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _check_tools(body: _Body) -> None:
    names = [tool.name for tool in body.tools or []]
    choice = body.tool_choice or {}
    if choice and not names:
        raise _refusal("tool_choice may only be specified while providing tools")
    if choice.get("type") == "tool" and choice.get("name") not in names:
        raise _refusal(f"Tool '{choice.get('name')}' not found in provided tools")


def _refusal(message: str) -> ApiError:
    return ApiError(400, "ValidationException", message)
