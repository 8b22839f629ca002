"""Prose from templates: the words stand in ``*.jinja`` files and YAML, Python decides which of them may be used.

A template holds paragraphs with blank lines between them, below titles such as ``## Signals``. Lines that start with
``%%`` are statements. Three kinds of markup: ``[@key; @other]`` cites, ``[#table-one]`` links a table or a figure, and
``**bold**``. Whatever stands in a value reaches the reader as it is, markup and spaces included.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
import yaml
from markupsafe import Markup

from ppgssl.report.document import Cite, Ref, Run, Strong, Text
from ppgssl.report.text import rounding

_MARKUP = re.compile(r"\[@(?P<cite>[^\]]+)\]|\[#(?P<ref>[\w-]+)\]|\*\*(?P<strong>.+?)\*\*")
_BEFORE_PUNCTUATION = re.compile(r" (?=[,;:)]|\.(?: |$)|\[@)")
_BREAK = "\ue000"  # between paragraphs
_HIDDEN = {ord(letter): 0xE000 + ord(letter) for letter in "[]*# \n\t"}
_SHOWN = {hidden: letter for letter, hidden in _HIDDEN.items()}


def passages(name: str, **values: Any) -> dict[str, list[Text]]:
    """Paragraphs of the template ``name`` by the title above them; those before any title are below ``""``."""
    found: dict[str, list[Text]] = {"": []}
    title = ""
    for part in _environment().get_template(f"{name}.jinja").render(values).split(_BREAK):
        if not (text := _parse(part)):
            continue
        if isinstance(text, str) and text.startswith("## "):
            title = text.removeprefix("## ")
            found[title] = []
        else:
            found[title].append(text)
    return found


def phrase(source: str, **values: Any) -> Text:
    """One text from a template of a few words, such as an entry of a YAML file."""
    return _parse(_template(source).render(values))


@cache
def _template(source: str) -> jinja2.Template:
    return _environment().from_string(source)


@cache
def load(name: str) -> dict[str, Any]:
    """A YAML file of the report, such as ``tables/tables.yaml``."""
    found: dict[str, Any] = yaml.safe_load(files("ppgssl.report").joinpath(name).read_text(encoding="utf-8"))
    return found


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_load),
        autoescape=True,  # what a macro returns is marked, and not hidden a second time
        undefined=jinja2.StrictUndefined,
        finalize=_hide,
        line_statement_prefix="%%",
    )
    environment.globals["next_paragraph"] = Markup(_BREAK)
    names = ("count", "number", "plural", "percent", "n_percent", "interval", "interval_words", "ratio", "risk")
    environment.filters |= {name: getattr(rounding, name) for name in (*names, "short")}
    filters: dict[str, Callable[..., Any]] = {"listed": rounding.enumeration, "g": "{:g}".format}
    environment.filters |= filters | {"sentence": _sentence, "chosen": _chosen}
    return environment


def _load(name: str) -> str:
    source = files("ppgssl.report.text").joinpath(name).read_text(encoding="utf-8")
    # Marked here, since statements that give nothing leave blank lines behind, and swallow those that follow them.
    source = re.sub(r"^## .*$", rf"{_BREAK}\g<0>{_BREAK}", source, flags=re.MULTILINE)
    return re.sub(r"\n\s*\n", f"\n{_BREAK}\n", source)


def _hide(value: Any) -> Markup:
    """A value whose letters are no markup and no space between words of the template."""
    return value if isinstance(value, Markup) else Markup(str(value).translate(_HIDDEN))


def _chosen(words: dict[str, Any]) -> list[str]:
    """Words of which the value is true."""
    return [word for word, is_used in words.items() if is_used]


def _sentence(text: str) -> str:
    """With one full stop at its end, and a large letter at its start."""
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


def _parse(words: str) -> Text:
    words = _BEFORE_PUNCTUATION.sub("", re.sub(r"[ \n\t]+", " ", words).strip())
    runs: list[Run] = []
    end = 0
    for match in _MARKUP.finditer(words):
        runs += [_shown(words[end : match.start()]), _run(match)]
        end = match.end()
    runs = [run for run in [*runs, _shown(words[end:])] if run]
    return runs[0] if len(runs) == 1 and isinstance(runs[0], str) else tuple(runs)


def _run(match: re.Match[str]) -> Run:
    if keys := match["cite"]:
        return Cite(tuple(key.strip().removeprefix("@") for key in keys.split(";")))
    return Ref(match["ref"]) if match["ref"] else Strong(_shown(match["strong"]))


def _shown(text: str) -> str:
    return str(text).translate(_SHOWN)
