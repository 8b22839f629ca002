"""Why the patients of the files and of the clinical table do not meet."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

_SIMPLER: dict[str, Callable[[str], str]] = {
    "leading zeros": lambda name: re.sub(r"(?<![0-9])0+(?=[0-9])", "", name),
    "upper and lower case": str.casefold,
    "white space": lambda name: re.sub(r"\s+", "", name),
    "a decimal .0": lambda name: re.sub(r"\.0+$", "", name.strip()),
}


def id_hint(ids_a: Iterable[str], ids_b: Iterable[str], *, show_ids: bool = True) -> str:
    """How ids of files without a counterpart in the table would find one, or the other way round; empty if not.

    For example ``'7' and '007' differ only by leading zeros, as do 11 other pairs of ids``; without ``show_ids``, the
    pairs are counted alone.
    """
    a, b = set(ids_a), set(ids_b)
    only_a, only_b = sorted(a - b), sorted(b - a)
    *first, last = _SIMPLER
    for words, simplify in [*_SIMPLER.items(), (f"{', '.join(first)} or {last}", _simplest)]:
        pairs = _pairs(only_a, only_b, simplify)
        if pairs and not show_ids:
            return f"the ids of {len(pairs)} pair{'s' if len(pairs) > 1 else ''} differ only by {words}"
        if pairs:
            others = len(pairs) - 1
            more = f", as do {others} other pair{'s' if others > 1 else ''} of ids" if others else ""
            return f"{pairs[0][0]!r} and {pairs[0][1]!r} differ only by {words}{more}"
    return ""


def _simplest(name: str) -> str:
    for simplify in reversed(_SIMPLER.values()):
        name = simplify(name)
    return name


def _pairs(only_a: list[str], only_b: list[str], simplify: Callable[[str], str]) -> list[tuple[str, str]]:
    by_simple = defaultdict(list)
    for name in only_b:
        by_simple[simplify(name)].append(name)
    return [(name, by_simple[simplify(name)][0]) for name in only_a if simplify(name) in by_simple]
