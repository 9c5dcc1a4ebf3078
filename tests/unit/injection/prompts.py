"""What a request to Claude says besides its data: by that, a text that is more than data is found out."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from chassis.claude.request import ClaudeRequest

# The simulator's reader of fences is written apart from their writer: what both agree on is the format.
from chassis.local.simulator.claude_request import Fence, read_fences


@dataclass(frozen=True)
class Reading:
    """A request, read as Claude is told to read it.

    :ivar frame: everything but what the fences hold, their digits and their facts, and the subject
    :ivar subject: what logs call the request
    """

    frame: str
    subject: str
    fences: tuple[Fence, ...]

    def contents(self, name: str) -> list[str]:
        return [found.content for found in self.fences if found.name == name]


def read(request: ClaudeRequest) -> Reading:
    """The request as it goes over the wire; that it can go there is part of the reading."""
    sent = json.loads(request.model_dump_json())
    assert ClaudeRequest.model_validate(sent) == request
    texts = [block.pop("text") for message in sent["messages"] for block in message["content"]]
    texts[0].encode()
    fences = tuple(found for text in texts for found in read_fences(text))
    subject = sent.pop("subject")
    bare = [re.sub(r"(?s)<data-([0-9a-f]{12}) [^\n]*>\n.*?\n</data-\1>", "<data>", text) for text in texts]
    return Reading(json.dumps([bare, sent]), subject, fences)
