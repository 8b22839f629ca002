"""Imports run one way: a file imports the base modules and rooms before its own."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
BASE = [
    "errors",
    "folder_lock",
    "parallel",
    "arms",
    "records",
    "provenance",
    "pretraining_options",
    "value_transforms",
    "config",
    "results",
]
ROOMS = [
    "readers",
    "signals",
    "store",
    "selfsupervised",
    "features",
    "classifiers",
    "evaluation",
    "models",
    "report",
    "simulate",
]
STAGES = [
    "file_tasks",
    "ingest",
    "inspection",
    "cohort_draft",
    "pretrain",
    "arm_inputs",
    "arm_fitting",
    "refitting",
    "probe_targets",
    "probe_representations",
    "probe_measuring",
    "probe_judging",
    "probe",
    "arm_judging",
    "acquisition_checks",
    "covariate_inference",
    "evaluate",
    "model_inputs",
    "fit_model",
    "new_patients",
    "predict",
    "shift_checks",
    "external_validation",
]
ORDER = [*BASE, *ROOMS, *STAGES, "reports", "data_schemas", "cli"]
# A library that is slow to import, or belongs to one task, stays where that task is.
CONFINED = {
    "torch": {
        "selfsupervised",
        "features",
        "classifiers",
        "pretrain",
        "arm_inputs",
        "arm_fitting",
        "refitting",
        "probe_measuring",
    },
    "lightning": {"selfsupervised"},
    "lightning_fabric": {"selfsupervised"},
    "matplotlib": {"report"},
    "jinja2": {"report"},
    "wfdb": {"readers"},
    "edfio": {"readers"},
    "h5py": {"readers"},
    "pyreadstat": {"readers"},
    "joblib": {"parallel", "pretrain", "arm_fitting", "refitting", "probe"},
    "aeon": {"features"},
    "distributed": {"parallel"},
    "typst": {"report"},
    "typer": {"cli"},
    "rich": {"cli"},
}
FILES = sorted(path for folder in ("ppgssl", "cli", "data_schemas") for path in (REPOSITORY / folder).rglob("*.py"))


def place(path: Path) -> str:
    """Room, stage or base module that a file belongs to."""
    parts = path.relative_to(REPOSITORY).with_suffix("").parts
    return parts[0] if parts[0] != "ppgssl" else parts[1]


def imports(path: Path) -> list[tuple[str, str]]:
    """Module and name of every import in a file, those inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(node.module or "", alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_imports_run_one_way(path):
    own = place(path)
    for module, name in imports(path):
        if module.split(".")[0] == "ppgssl" and own != "__init__":
            target = module.split(".")[1] if "." in module else name
            assert target in ORDER, f"{path} imports ppgssl.{target}, which the order does not know"
            assert ORDER.index(target) <= ORDER.index(own), f"{path} imports {module}: the arrow points back"
        library = module.split(".")[0]
        if library in CONFINED:
            assert own in CONFINED[library], f"{path} imports {library}, which belongs in {sorted(CONFINED[library])}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_file_imports_a_private_name_of_another(path):
    for module, name in imports(path):
        if module.startswith("ppgssl"):
            assert not name.startswith("_"), f"{path} imports {name} of {module}"


def test_only_the_network_classifier_uses_torch():
    classifiers = [path for path in FILES if place(path) == "classifiers" and not path.name.startswith("network")]
    assert classifiers
    for path in classifiers:
        assert all(module.split(".")[0] != "torch" for module, _ in imports(path)), path
