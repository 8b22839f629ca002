"""Run notebooks without a kernel: code cells in one namespace, their outputs as Jupyter stores them.

    python -m tests.support.notebooks docs/notebooks/*.ipynb

runs notebooks from the repository and stores what they print, show and draw.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("MPLBACKEND", "agg")

Notebook = dict[str, Any]


def execute(path: Path) -> Notebook:
    """The notebook with the outputs of a run in an empty folder."""
    from matplotlib import pyplot

    notebook: Notebook = json.loads(path.read_text(encoding="utf-8"))
    namespace: dict[str, Any] = {"__name__": "__main__"}
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    with TemporaryDirectory() as folder, chdir(folder):
        for number, cell in enumerate(code, start=1):
            cell["outputs"], cell["execution_count"] = _run("".join(cell["source"]), namespace, number), number
            for figure in map(pyplot.figure, pyplot.get_fignums()):
                cell["outputs"].append(_drawn(figure))
            pyplot.close("all")
    return notebook


def _run(source: str, namespace: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """Outputs of one cell: what it prints, and the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed = io.StringIO()
    with redirect_stdout(printed):
        exec(compile(tree, f"cell {number}", "exec"), namespace)
        value = eval(compile(ast.Expression(last.value), f"cell {number}", "eval"), namespace) if last else None
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        lines = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines})
    if value is not None and not source.rstrip().endswith(";"):
        data = {"text/plain": repr(value).splitlines(keepends=True)}
        if hasattr(value, "_repr_html_"):
            data["text/html"] = value._repr_html_().splitlines(keepends=True)
        outputs.append({"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}})
    return outputs


def _drawn(figure: Any) -> dict[str, Any]:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=70, bbox_inches="tight", metadata={"Software": None})
    image = base64.b64encode(file.getvalue()).decode()
    return {"output_type": "display_data", "data": {"image/png": image}, "metadata": {}}


if __name__ == "__main__":
    for name in sys.argv[1:]:
        done = execute(Path(name))
        Path(name).write_text(json.dumps(done, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
