"""Imports run one way: a package imports those before its own in the order, and nothing else."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
# Each level may import the levels before it; packages of one level do not know each other.
ORDER = (
    ("core",),
    ("readers", "signals", "simulate"),
    ("store",),
    ("selfsupervised",),
    ("features",),
    ("classifiers",),
    ("models",),
)
LEVEL = {package: level for level, packages in enumerate(ORDER) for package in packages}
MAY_IMPORT = {package: {below for below in LEVEL if LEVEL[below] < LEVEL[package]} for package in LEVEL} | {
    "evaluation": {"core"},
    "report": {"core", "reports"},
    "stages": {*LEVEL, "evaluation", "report"},
    "data_schemas": {"core", "models"},
    "cli": {"core", "stages", "data_schemas"},
    "reports": set(),
}
# A library that is slow to import, or belongs to one task, stays where that task is.
CONFINED = {
    "torch": {"selfsupervised", "features", "classifiers", "stages"},
    "lightning": {"selfsupervised"},
    "lightning_fabric": {"selfsupervised"},
    "matplotlib": {"report"},
    "jinja2": {"models", "report"},
    "wfdb": {"readers"},
    "edfio": {"readers"},
    "h5py": {"readers"},
    "pyreadstat": {"readers"},
    "joblib": {"core"},
    "aeon": {"features"},
    "distributed": {"core"},
    "typst": {"report"},
    "typer": {"cli"},
    "rich": {"cli"},
}
FILES = sorted(path for folder in ("ppgssl", "cli", "data_schemas") for path in (REPOSITORY / folder).rglob("*.py"))


def package_of(path: Path) -> str:
    """The package that a file belongs to; ``__init__`` for the public API."""
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
    own = package_of(path)
    for module, name in imports(path):
        if module.split(".")[0] == "ppgssl" and own != "__init__":
            target = module.split(".")[1] if "." in module else name
            assert target in {own, *MAY_IMPORT[own]}, f"{path} imports {module}: {own} may not know {target}"
        library = module.split(".")[0]
        if library in CONFINED:
            assert own in CONFINED[library], f"{path} imports {library}, which belongs in {sorted(CONFINED[library])}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_no_file_imports_a_private_name_of_another(path):
    for module, name in imports(path):
        if module.startswith("ppgssl"):
            assert not name.startswith("_"), f"{path} imports {name} of {module}"


def test_the_top_level_is_the_public_api_and_packages():
    loose = {item.name for item in (REPOSITORY / "ppgssl").iterdir() if item.is_file()}
    assert loose == {"__init__.py", "py.typed"}


def test_every_package_is_installed():
    listed = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    for path in (REPOSITORY / "ppgssl").rglob("__init__.py"):
        assert f'"{".".join(path.parent.relative_to(REPOSITORY).parts)}"' in listed, path


def test_only_the_network_classifier_uses_torch():
    classifiers = [path for path in FILES if package_of(path) == "classifiers" and not path.name.startswith("network")]
    assert classifiers
    for path in classifiers:
        assert all(module.split(".")[0] != "torch" for module, _ in imports(path)), path
