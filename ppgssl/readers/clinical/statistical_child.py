"""A program of its own: reads one SAS, Stata or SPSS file and prints what is in it as JSON.

The C library below pyreadstat takes a few of the damaged files for an order to read foreign memory, or to ask for all
of it. Here that ends this process, with limits on its memory, and not the one that has work to lose. Python runs this
file by its path, and it imports nothing of the package, to start quickly.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

READERS = {
    "sas7bdat": "read_sas7bdat",
    "xpt": "read_xport",
    "dta": "read_dta",
    "sav": "read_sav",
    "zsav": "read_sav",
}


def main(path: str, name: str, max_bytes: int) -> dict[str, Any]:
    """What the file holds, column by column; or ``error``, the library's words or the exception's type."""
    _limit_memory(max_bytes)
    import pyreadstat

    # Dates stay numbers: their formats are many more than the library knows.
    options = {"output_format": "dict", "disable_datetime_conversion": True}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data, about = getattr(pyreadstat, READERS[name])(path, **options)
            missing = _missing_codes(pyreadstat, path) if READERS[name] == "read_sav" else {}
        if not all(isinstance(column, str) for column in data) or len(set(map(len, data.values()))) > 1:
            return {"error": "columns without a name, or of different lengths"}
        return {
            "columns": list(data),
            "cells": list(map(list, data.values())),
            "formats": [about.original_variable_types.get(column) or "" for column in data],
            "types": [about.readstat_variable_types.get(column) or "" for column in data],
            "labels": [about.column_names_to_labels.get(column) or "" for column in data],
            "levels": [
                [
                    (code, label)
                    for code, label in about.variable_value_labels.get(column, {}).items()
                    if not _is_missing(name, code, missing.get(column, []))
                ]
                for column in data
            ],
        }
    except pyreadstat.ReadstatError as error:
        return {"error": str(error)}
    except Exception as error:  # Whatever a damaged header leads to; MemoryError is one of them.
        return {"error": type(error).__name__}


def _missing_codes(pyreadstat: Any, path: str) -> dict[str, list[dict[str, Any]]]:
    """Of SPSS: ranges of the codes of missing, which are given only to those who want them as values."""
    _, about = pyreadstat.read_sav(path, metadataonly=True, user_missing=True)
    return dict(about.missing_ranges)


def _is_missing(name: str, code: Any, ranges: list[dict[str, Any]]) -> bool:
    """Whether a code with a label is one of missing: .a to .z in Stata, what the file defines in SPSS."""
    if name == "dta":
        return isinstance(code, str)
    return any(type(code) is type(one["lo"]) and one["lo"] <= code <= one["hi"] for one in ranges)


def _limit_memory(max_bytes: int) -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limit.
        return
    resource.setrlimit(resource.RLIMIT_AS, (max_bytes, max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    # Written as one piece at the end, so that a crash leaves no half of it.
    text = json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3])), default=str)
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass"))
