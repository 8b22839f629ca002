"""Messages without what they quote from raw files.

A message of a reader may show a cell, a header, a channel's label or what a library said: all may hold a name. So
nothing is shown but words of this package, words of the cohort's description, and numbers among them, such as a line.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path

from ppgssl.core.config.cohort import Cohort

HIDDEN = "…"
_QUOTED = re.compile(r"""(?<!\w)b?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""", re.DOTALL)
_LISTED = re.compile(r"(?<=: )the file has (\d+) (\w+): .*", re.DOTALL)
_NUMBER = re.compile(r"[+-]?\d{1,12}(\.\d+)?(e[+-]?\d+)?%?", re.IGNORECASE)
_DATE_FORMAT = re.compile(r"(%[A-Za-z][-/.: T]?)+")
_SOURCES = ("readers", "signals", "store", "stages/ingest")
_EDGES = "`'\"()[]{},.;:?!…"


def redacted(message: str, cohort: Cohort, known: Iterable[str] = ()) -> str:
    """The message with ``…`` in place of all that is not known to be no patient's.

    Parameters
    ----------
    message : str
    cohort : Cohort
        The words of its description may be shown.
    known : iterable of str
        Other texts that may be: pseudonyms.
    """
    described = {text.strip() for text in _texts(json.loads(cohort.model_dump_json()))}
    message = _LISTED.sub(r"the file has \1 \2, not shown", message)
    message = _QUOTED.sub(lambda match: match[0] if _may_be_quoted(match[1][1:-1], described) else HIDDEN, message)
    words = _own_words().union(_words(described), _words(known))
    spaces, parts = re.findall(r"\s+", message), message.split()
    shown = _without_lone_numbers([_shown(part, words) for part in parts])
    lead = spaces.pop(0) if message[:1].isspace() else ""
    text = lead + "".join(part + space for part, space in zip_longest(shown, spaces, fillvalue=""))
    return re.sub(rf"{HIDDEN}(\s+{HIDDEN})+", HIDDEN, text)


def _may_be_quoted(text: str, described: set[str]) -> bool:
    return text in described or _DATE_FORMAT.fullmatch(text) is not None


def _shown(part: str, words: frozenset[str]) -> str:
    bare = part.strip(_EDGES)
    return part if not bare or bare in words or _NUMBER.fullmatch(bare) else HIDDEN


def _without_lone_numbers(parts: list[str]) -> list[str]:
    """Numbers beside what is hidden may belong to it: a name, and when somebody was born."""
    for order in (range(1, len(parts)), range(len(parts) - 2, -1, -1)):
        for place in order:
            beside = parts[place - 1] if order.step == 1 else parts[place + 1]
            if beside == HIDDEN and _NUMBER.fullmatch(parts[place].strip(_EDGES)):
                parts[place] = HIDDEN
    return parts


def _words(texts: Iterable[str]) -> Iterator[str]:
    return (part.strip(_EDGES) for text in texts for part in text.split())


def _texts(described: object) -> Iterator[str]:
    """Keys and values of a description."""
    if isinstance(described, dict):
        yield from described
        described = list(described.values())
    if isinstance(described, list):
        for item in described:
            yield from _texts(item)
    elif isinstance(described, str):
        yield described


@cache
def _own_words() -> frozenset[str]:
    """Words of all texts in the modules that write such messages; none, and so none shown, where the source is away.

    Without docstrings, which name authors.
    """
    package = Path(__file__).parents[2]
    files = [file for source in _SOURCES for file in (package / source).rglob("*.py")]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_bytes()))]
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    constants = (node.value for node in nodes if isinstance(node, ast.Constant) and id(node) not in docstrings)
    return frozenset(_words(value for value in constants if isinstance(value, str)))
