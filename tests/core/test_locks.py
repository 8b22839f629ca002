from __future__ import annotations

import pytest

from ppgssl.core.errors import BusyError
from ppgssl.core.locks import locked


def test_a_folder_has_one_writer_at_a_time(tmp_path):
    folder = tmp_path / "store"
    with locked(folder, "the store"), pytest.raises(BusyError, match="is writing into it"), locked(folder, "it"):
        pass
    with locked(folder, "the store"):
        assert folder.is_dir()


def test_an_error_releases_the_folder(tmp_path):
    with pytest.raises(ValueError, match="stop"), locked(tmp_path, "the store"):
        raise ValueError("stop")
    with locked(tmp_path, "the store"):
        pass


def test_a_drive_without_locks_is_written_to(tmp_path, monkeypatch):
    def refuse(*_arguments):
        raise OSError("no locks available")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    with locked(tmp_path, "the store"):
        pass
