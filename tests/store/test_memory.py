from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest

from ppgssl.store.memory import available_bytes, samples_budget


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The files of a system of which 8 GiB are available."""
    (tmp_path / "sys/fs/cgroup/memory").mkdir(parents=True)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=8 * 2**30))
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "used"),
    [("memory.max", "memory.current"), ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")],
)
def test_what_the_system_can_give_is_available_and_no_more_than_a_container_leaves(root, limit, used):
    assert available_bytes(root) == 8 * 2**30
    (root / "sys/fs/cgroup" / used).write_text(f"{2**30}\n")
    for text, available in (("max", 8), (f"{3 * 2**30}", 2)):
        (root / "sys/fs/cgroup" / limit).write_text(f"{text}\n")
        assert available_bytes(root) == available * 2**30


def test_this_machine_has_memory():
    assert available_bytes() > 2**28


def test_the_study_decides_or_half_of_what_is_available():
    assert samples_budget(0.25) == 250_000_000
    assert samples_budget(None) == pytest.approx(available_bytes() / 2, rel=0.5)
