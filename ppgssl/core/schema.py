"""The base of everything that is read from, or written to, a file: unknown keys are refused, and nothing changes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Name = str
NAME_PATTERN = r"^[a-z0-9][a-z0-9_\-]*$"


class Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def named(value: Any) -> Any:
    """A name alone stands for the options of that name, all at their defaults."""
    return {"name": value} if isinstance(value, str) else value
