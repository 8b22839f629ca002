"""Which columns of an arm's table are clinical numbers, clinical levels, and signal features."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Columns:
    """What the columns of a table of patients are.

    ``numeric``, ``categorical``: the clinical input; a binary variable counts as categorical. ``features``: numbers
    from signals. Alongside a clinical input they form a block with a penalty of its own.
    """

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def clinical(self) -> tuple[str, ...]:
        return (*self.numeric, *self.categorical)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.clinical, *self.features)

    def without(self, names: set[str]) -> Columns:
        """The same but for some names."""
        blocks = (self.numeric, self.categorical, self.features)
        return Columns(*(tuple(name for name in block if name not in names) for block in blocks))
