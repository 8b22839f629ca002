"""Fixtures that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Folder of the public recordings; the test is skipped where it is absent."""
    folder = Path(os.environ.get("PPGSSL_TEST_DATA", "../shared/data"))
    folder = folder if folder.is_absolute() else REPOSITORY / folder
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}: set PPGSSL_TEST_DATA to the folder that holds ppg_bp, mw_ppg, ...")
    return folder.resolve()
