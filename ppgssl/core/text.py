"""Small pieces of text that several packages share."""

from __future__ import annotations

import difflib
from typing import Any


def suggest(word: str, choices: Any) -> str:
    """`` (did you mean 'x'?)`` for the nearest choice, or nothing."""
    near = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""
