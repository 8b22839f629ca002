"""Fixtures of the tests that interrupt stages."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine, command_line


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    """Commands in processes of their own; those that need torch import it each time."""
    with command_line(tmp_path_factory.mktemp("output")) as made:
        yield made


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """``small_disk(kb)``: a disk with room for so much; called again, the same disk has room for so much instead."""
    place = tmp_path / "disk"

    def resize(kb: int) -> Path:
        is_new = not place.exists()
        place.mkdir(exist_ok=True)
        options = f"size={kb}k" if is_new else f"remount,size={kb}k"
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip("no permission to mount a small disk")
        return place

    yield resize
    subprocess.run(["umount", str(place)], capture_output=True, check=False)
