"""``ppgssl export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from ppgssl.cli.console import print_summary
from ppgssl.cli.options import JsonOption


def export(
    encoder: Annotated[
        Path,
        typer.Argument(
            help="Folder of an encoder, as `ppgssl pretrain` makes it.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="ONNX file to write.", show_default=False)],
    json: JsonOption = False,
) -> None:
    """Write an encoder as ONNX, and keep it if it computes the same; needs the extra `onnx`."""
    from ppgssl.stages.export import export_onnx

    difference = export_onnx(encoder, out)
    print_summary({"file": str(out), "largest_difference": f"{difference:.1e}"}, as_json=json)
