"""Whether two stores hold the same, and power that fails while one is written."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from deltalake import DeltaTable

from ppgssl.store import tables
from ppgssl.store.tables import CohortStore

TABLES = ("recordings", "segments", "patients", "rejects")


def reasons(rejects: pd.DataFrame) -> dict[str, str]:
    return dict(zip(rejects["subject"], rejects["reason"], strict=True))


def table_versions(folder: Path) -> dict[str, int]:
    return {name: DeltaTable(str(folder / name)).version() for name in TABLES if (folder / name).is_dir()}


def content(folder: Path) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """Fingerprint, segments and rejects of a store, as far as they do not depend on the order of commits."""
    store = CohortStore(folder)
    # Read past the store, which would hide segments without a recording.
    segments = DeltaTable(str(folder / "segments")).to_pandas()
    segments = segments.sort_values(["recording_id", "start_s"], ignore_index=True)
    return store.fingerprint(), segments, store.rejects()


def assert_same_store(a: Path, b: Path) -> None:
    for one, other in zip(content(a), content(b), strict=True):
        if isinstance(one, pd.DataFrame):
            pd.testing.assert_frame_equal(one, other)
        else:
            assert one == other


def copy_signal(folder: Path, source: str, target: str) -> None:
    (folder / "signals" / f"{target}.csv").write_bytes((folder / "signals" / f"{source}.csv").read_bytes())


class Power:
    """Fails just before one of the writes to the store."""

    def __init__(self, monkeypatch) -> None:
        self.n_writes, self.fail_at = 0, -1
        monkeypatch.setattr(tables, "write_deltalake", self._guard(tables.write_deltalake))
        monkeypatch.setattr(DeltaTable, "delete", self._guard(DeltaTable.delete))

    def _guard(self, write):
        def guarded(*arguments, **options):
            self.n_writes += 1
            if self.n_writes == self.fail_at:
                raise KeyboardInterrupt
            return write(*arguments, **options)

        return guarded
