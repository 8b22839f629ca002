"""Short texts that several packages share."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self


class Message(str):
    """A text of this package with values in it, which stay apart from it: so they can be hidden.

    ``Message("line {line}: expected a number and found {cell!r}", line=3, cell="x")`` is ``line 3: expected a number
    and found 'x'``. A list is written with commas, a type by its name. Numbers among the values must be counts, places
    or sizes: they are never hidden.
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, /, **values: object) -> Self:
        plain = {name: _plain(value) for name, value in values.items()}
        message = super().__new__(cls, template.format(**plain))
        message.template, message.values = template, values
        return message

    def __reduce__(self) -> tuple[Any, ...]:
        return _message, (self.template, dict(self.values))

    def with_values(self, show: Callable[[object], object]) -> str:
        """The text with what ``show`` makes of each value."""
        return self.template.format(**{name: _plain(show(value)) for name, value in self.values.items()})


def _message(template: str, values: Mapping[str, object]) -> Message:
    return Message(template, **values)


def _plain(value: object) -> object:
    if isinstance(value, list | tuple):
        return ", ".join(str(_plain(item)) for item in value)
    return value.__name__ if isinstance(value, type) else value


def suggest(word: str, choices: Any) -> str:
    """`` (did you mean 'x'?)`` for the nearest choice, or nothing."""
    near = difflib.get_close_matches(str(word), [str(choice) for choice in choices], n=1, cutoff=0.6)
    return f" (did you mean {near[0]!r}?)" if near else ""


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names for a message: the first few, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
