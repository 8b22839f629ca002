from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.notebooks import execute

NOTEBOOKS = sorted((Path(__file__).parents[1] / "docs" / "notebooks").glob("*.ipynb"))


@pytest.mark.filterwarnings("default")  # a reader sees a warning, and goes on
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_an_empty_folder_and_shows_what_is_stored(path):
    done = execute(path)
    stored = json.loads(path.read_text(encoding="utf-8"))
    assert [cell["cell_type"] for cell in done["cells"]] == [cell["cell_type"] for cell in stored["cells"]]
    for fresh, kept in zip(done["cells"], stored["cells"], strict=True):
        kinds = [one["output_type"] for one in fresh.get("outputs", [])]
        assert kinds == [one["output_type"] for one in kept.get("outputs", [])], "".join(kept["source"])


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_reveals_nothing_of_the_machine_it_was_run_on(path):
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"/(tmp|home|root|work|Users)/", text)
    notebook = json.loads(text)
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
