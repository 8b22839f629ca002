"""Literature that the report cites, from ``references.bib``."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

_ENTRY = re.compile(r"^@\w+\{(\w+),\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^ *(\w+) = \{(.*)\},$", re.MULTILINE)


@cache
def references() -> dict[str, str]:
    """Each reference as it is printed, by its key."""
    bibliography = files("ppgssl.report").joinpath("references.bib").read_text(encoding="utf-8")
    return {key: _printed(dict(_FIELD.findall(fields))) for key, fields in _ENTRY.findall(bibliography)}


def _printed(entry: dict[str, str]) -> str:
    """In the style of Vancouver: an article, a paper of a conference, a book, or a manuscript."""
    pages = entry.get("pages", "").replace("--", "–")
    year = entry["year"]
    if "journal" in entry:
        source = f"{entry['journal']} {year}; {entry['volume']}: {pages}"
    elif "publisher" in entry:
        source = f"{entry['address']}: {entry['publisher']}, {year}"
    else:
        source = f"{entry.get('booktitle', '')} {year}{': ' if pages else ''}{pages}".strip()
    title = entry["title"] + (f". {entry['edition']} edition" if "edition" in entry else "")
    identifier = f" doi:{entry['doi']}" if "doi" in entry else f" arXiv:{entry['eprint']}" if "eprint" in entry else ""
    return f"{_authors(entry['author'])}. {title}{'' if title.endswith('?') else '.'} {source}.{identifier}"


def _authors(names: str) -> str:
    """``He K, Zhang X, et al`` of ``He, K. and Zhang, X. and others``."""
    printed = []
    for name in names.split(" and "):
        family, _, given = name.partition(", ")
        printed.append("et al" if name == "others" else f"{family} {re.sub(r'[. ]', '', given)}")
    return ", ".join(printed)
