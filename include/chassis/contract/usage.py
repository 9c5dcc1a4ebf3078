"""Token counts of calls to Claude."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Usage(BaseModel):
    """Token counts of one or more calls. The four counts don't overlap: their sum is what was processed."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    input_tokens: int = Field(
        0, ge=0, description="Input tokens that were neither read from nor written to the cache."
    )
    output_tokens: int = Field(0, ge=0, description="Tokens that Claude wrote.")
    cache_read_tokens: int = Field(0, ge=0, description="Input tokens read from the prompt cache.")
    cache_write_tokens: int = Field(0, ge=0, description="Input tokens written to the prompt cache.")
    calls: int = Field(0, ge=0, description="Calls that these counts come from.")

    @property
    def tokens(self) -> int:
        """Tokens of all four kinds."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in Usage.model_fields})
