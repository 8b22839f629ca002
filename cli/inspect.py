"""``ppgssl inspect``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from ppgssl.cli.console import JsonOption, print_summary, progress_bar

from ppgssl.core.reasons import Reason

_NONE = "–"


def inspect(
    store: Annotated[Path, typer.Argument(help="Folder made by `ppgssl ingest`.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Page to write; `inspect.html` in the store by default.")
    ] = None,
    recordings: Annotated[
        int, typer.Option("--recordings", min=0, help="Most recordings drawn on the page, from the worst to the best.")
    ] = 200,
    json: JsonOption = False,
) -> None:
    """Say what is in a store, and write a page to look through recordings, segments and vitals by quality."""
    from ppgssl.stages.inspect import inspect_store

    with progress_bar(f"inspect {store.name}") as advance:
        found = inspect_store(store, out, n_recordings=recordings, progress=advance)
    if json:
        print_summary(found.summary | {"page": str(found.page), "drawn": found.n_drawn}, as_json=True)
        return
    _print(found.summary)
    typer.echo(f"\nwrote {found.page}: {found.n_drawn} of {found.summary['recordings']} recordings drawn")


def _print(summary: dict[str, Any]) -> None:
    rates = ", ".join(f"{rate['fs_hz']:g} Hz ({rate['recordings']})" for rate in summary["source_fs_hz"])
    print_summary(
        {
            "cohort": summary["cohort"],
            "recordings": summary["recordings"],
            "patients": summary["patients"],
            **({"visits": summary["visits"]} if summary["visits"] else {}),
            "hours": f"{summary['hours']:.1f}",
            "patients_in_the_table": summary["patients_in_table"],
            "stored_at": f"{summary['fs_hz']:g} Hz",
            "recorded_at": rates or _NONE,
        },
        as_json=False,
    )
    for row in summary["segments"]:
        cut = f"{row['segment_s']:g} s every {row['step_s']:g} s"
        typer.echo(f"segments, {cut}: {row['segments']}, accepted {_share(row['accepted'], row['segments'])}")
    _print_table(
        ["channel", "recordings", "inverted", "segments", "accepted", "SQI 5 %", "median", "95 %", "rejected for"],
        [
            [
                row["channel"],
                str(row["recordings"]),
                str(row["inverted"]),
                str(row["segments"]),
                _share(row["accepted"], row["segments"]),
                *(_number(row["sqi"][key], ".2f") for key in ("p5", "median", "p95")),
                ", ".join(f"{Reason(reason).label.lower()} {n}" for reason, n in row["reasons"].items()) or _NONE,
            ]
            for row in summary["channels"]
        ],
    )
    _print_table(
        ["accepted segments", "n", "missing", "5 %", "median", "95 %"],
        [
            [name, str(row["n"]), *(_number(row[key], form) for key, form in _VITAL_FORMS.items())]
            for name, row in summary["vitals"].items()
        ],
    )
    if summary["rejects"]:
        _print_table(
            ["left out, noted", "n", "reason"],
            [[row["unit"], str(row["n"]), row["text"]] for row in summary["rejects"]],
        )


_VITAL_FORMS = {"missing": ".1%", "p5": ".4g", "median": ".4g", "p95": ".4g"}


def _share(part: int, whole: int) -> str:
    return f"{part} ({part / whole:.1%})" if whole else str(part)


def _number(value: float | None, form: str) -> str:
    return _NONE if value is None else format(value, form)


def _print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns side by side: the first and the last to the left, numbers between them to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    is_text = {0} | ({len(head) - 1} if head[-1] in ("rejected for", "reason") else set())
    typer.echo("")
    for row in [head, *rows]:
        cells = [
            cell.ljust(width) if number in is_text else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        typer.echo("  ".join(cells).rstrip())
