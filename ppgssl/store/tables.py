"""The store of a cohort: Delta Lake tables in one folder, appended to in whole commits.

A recording is in the store when its row in ``recordings`` is; segments of a recording that never arrived, after an
interruption between two commits, are dropped when the store is next opened for writing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from deltalake import DeltaTable, write_deltalake
from deltalake.exceptions import DeltaError
from pyarrow.dataset import Dataset
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from ppgssl.core.config.cohort import Cohort, TrendName
from ppgssl.core.config.loading import load_cohort, save_description
from ppgssl.core.errors import StoreError
from ppgssl.core.locks import locked
from ppgssl.core.provenance import fingerprint, write_atomically
from ppgssl.core.records import Reject
from ppgssl.signals.vitals import VITALS
from ppgssl.store.rows import (
    CHANNEL_COLUMNS,
    IDENTITY,
    REJECTS_SCHEMA,
    StoredRecording,
    arrow_column,
    device_columns,
    rejects_frame,
    stored_recording,
    writer_properties,
)

COHORT_FILE = "cohort.yaml"


FORMAT_FILE = "format.json"


FORMAT = 3
"""Of the tables; a store of another format has to be made again."""


_SYSTEM_ERROR = re.compile(r"[^:]+ \(os error \d+\)")


class CohortStore:
    """The tables of one cohort, ``recordings``, ``segments``, ``patients`` and ``rejects``, in a folder that holds a
    store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / COHORT_FILE).is_file():
            raise StoreError(f"{folder} is not a store: run `ppgssl ingest COHORT.yaml --out {folder}` first")
        _check_format(folder)
        self.cohort = load_cohort(folder / COHORT_FILE)
        self.channels = list(self.cohort.signals.channels)
        trends = self.cohort.signals.trends
        self.trends: list[TrendName] = list(trends.columns) if trends else []

    @classmethod
    def create(cls, folder: Path, cohort: Cohort, *, key_fingerprint: str = "") -> CohortStore:
        """Open the store in ``folder``, or make it for ``cohort``.

        ``key_fingerprint`` identifies the key of its pseudonyms; empty where patients are called by their ids.

        Raises
        ------
        StoreError
            If the store was made from a description that treats signals otherwise; the message names the keys. If its
            patients are named otherwise: by another key, or by their ids.
        """
        if (folder / COHORT_FILE).is_file():
            cls(folder)._check_same_names(key_fingerprint)
            cls(folder)._check_same_signals(cohort)
        else:
            _check_usable(folder)
            folder.mkdir(parents=True, exist_ok=True)
            with _in_words(f"the store {folder}"):
                key = {"pseudonym_key": key_fingerprint} if key_fingerprint else {}
                write_atomically(folder / FORMAT_FILE, json.dumps({"format": FORMAT} | key))
        # Last, because it is what makes the folder a store.
        with _in_words(f"the store {folder}"):
            # Not where the key lies: nobody needs it who uses the store, and moving it changes no result.
            save_description(cohort.model_copy(update={"privacy": None}), folder / COHORT_FILE)
        return cls(folder)

    @property
    def key_fingerprint(self) -> str:
        """Identifies the key of the pseudonyms that patients have here; empty where they have none."""
        return str(json.loads((self.folder / FORMAT_FILE).read_text(encoding="utf-8")).get("pseudonym_key", ""))

    def _check_same_names(self, key_fingerprint: str) -> None:
        before, start = self.key_fingerprint, f"the store {self.folder} was made "
        if before == key_fingerprint:
            return
        if not before:
            raise StoreError(
                f"{start}without pseudonyms: it holds ids of patients and names of files. Delete it, with all that was "
                "made from it, and run ingest again."
            )
        if not key_fingerprint:
            raise StoreError(
                f"{start}with pseudonyms, and `privacy` is gone from the cohort's description: patients would be there "
                "twice, with their ids too. Put it back, or give another folder with --out."
            )
        raise StoreError(
            f"{start}with another key (its fingerprint is {before}, and that of the key given is {key_fingerprint}): "
            "every patient would get a second pseudonym. Give the key that it was made with in `privacy.pseudonyms`, "
            "or another folder with --out."
        )

    def _check_same_signals(self, cohort: Cohort) -> None:
        before, now = _signal_settings(self.cohort), _signal_settings(cohort)
        changed = [key for key in now if before[key] != now[key]]
        if changed:
            raise StoreError(
                f"the store {self.folder} was made with other settings of {', '.join(f'`{key}`' for key in changed)}. "
                "Recordings treated in two ways cannot share a store: give another folder with --out, or delete this "
                "one."
            )

    # --- writing

    def append(self, recordings: Sequence[StoredRecording], segments: pd.DataFrame, rejects: pd.DataFrame) -> None:
        """Add recordings with their segments, and rejected files, so that an interruption loses no whole file.

        Recordings come last: what was found wrong with a file is there before the file counts as read.
        """
        if len(rejects):
            self._write("rejects", pa.Table.from_pandas(rejects, REJECTS_SCHEMA, preserve_index=False))
        if len(segments):
            self.append_segments(segments)
        if recordings:
            self._write("recordings", self._recordings_table(recordings))

    def append_segments(self, segments: pd.DataFrame) -> None:
        self._write("segments", pa.Table.from_pandas(segments, self._segments_schema(), preserve_index=False))

    def incomplete_sources(self) -> list[str]:
        """Raw files of which an interruption left only some rows."""
        held = self.recordings(["source", "n_of_source"])
        counts = held.groupby("source")["n_of_source"].agg(["size", "max"])
        return [str(source) for source in counts.index[counts["size"] < counts["max"]]]

    def replace_rejects(self, stage: str, rejects: Iterable[Reject]) -> bool:
        """Let ``rejects`` be all that this stage rejects; True if that changed anything."""
        now = rejects_frame(stage, rejects)
        before = self.rejects()
        before = before[before["stage"] == stage].reset_index(drop=True)
        if before.equals(now):
            return False
        if len(before):
            self._delete("rejects", f"stage = '{stage}'")
        if len(now):
            self._write("rejects", pa.Table.from_pandas(now, REJECTS_SCHEMA, preserve_index=False))
        return True

    def replace_patients(self, patients: pd.DataFrame) -> bool:
        """Let ``patients`` (index ``patient_id``) be the table of patients; True if that changed anything."""
        table = pa.Table.from_pandas(patients.reset_index(), preserve_index=False)
        # A variable of which every value is missing has no type of its own, and a table needs one.
        columns = [column.cast(pa.string()) if pa.types.is_null(column.type) else column for column in table.columns]
        table = pa.table(dict(zip(table.column_names, columns, strict=True)))
        if self._exists("patients") and self._read("patients").equals(table):
            return False
        with self._writing("patients") as folder:
            write_deltalake(folder, table, mode="overwrite", schema_mode="overwrite")
        return True

    def forget_sources(self, sources: Sequence[str]) -> None:
        """Remove all that came from these raw files."""
        if not sources:
            return
        self._delete_named("recordings", "source", sources)
        self._delete_named("rejects", "stage = 'files' AND subject", sources)
        self.drop_orphans()

    def forget_notes(self, recording_ids: Sequence[str]) -> None:
        """Remove what was noted of these recordings when their files were read."""
        self._delete_named("rejects", "stage = 'files' AND unit = 'recording' AND subject", recording_ids)

    def drop_incomplete(self) -> None:
        """Remove what there is of recordings of which a part could not be read; why it could not stays."""
        sources = self.incomplete_sources()
        if sources:
            self._delete_named("recordings", "source", sources)
            self.drop_orphans()

    def drop_orphans(self) -> None:
        """Remove segments without a recording: what an interruption between two commits leaves."""
        if not self._exists("segments"):
            return
        known = set(self.recordings(["recording_id"])["recording_id"])
        held = self._read("segments", ["recording_id"]).column(0).unique().to_pylist()
        self._delete_named("segments", "recording_id", sorted(set(held) - known))

    # --- reading

    def recordings(self, columns: Sequence[str] = tuple(IDENTITY)) -> pd.DataFrame:
        """Columns of ``recordings`` that are not samples, sorted by recording."""
        if not self._exists("recordings"):
            return pd.DataFrame(columns=list(columns))
        wanted = list(dict.fromkeys([*columns, "recording_id"]))
        frame = self._read("recordings", wanted).to_pandas().sort_values("recording_id", ignore_index=True)
        return frame[list(columns)]

    def iterate(self, channels: Sequence[str]) -> Iterator[StoredRecording]:
        """Stored recordings with their samples, a batch of rows in memory at a time, in no particular order."""
        if not self._exists("recordings"):
            return
        wanted = [*IDENTITY, *(f"{kind}_{name}" for name in channels for kind in CHANNEL_COLUMNS)]
        wanted += [f"trend_{name}" for name in self.trends]
        with self.reading("recordings") as held:
            for batch in held.to_batches(columns=wanted, batch_size=32, batch_readahead=1, fragment_readahead=1):
                for number in range(batch.num_rows):
                    yield stored_recording(batch, number, channels, self.trends)

    def segments(self, segment_s: float, step_s: float) -> pd.DataFrame:
        """Segments of one length and step, sorted by recording and start; empty if that grid was never cut.

        Those of a recording that an interrupted ingest did not store are left out.
        """
        if not self._exists("segments"):
            return self._segments_schema().empty_table().to_pandas()
        is_of_grid = (pc.field("segment_s") == segment_s) & (pc.field("step_s") == step_s)
        with self.reading("segments") as held:
            frame = held.to_table(filter=is_of_grid).to_pandas()
        frame = frame[frame["recording_id"].isin(self.recordings(["recording_id"])["recording_id"])]
        return frame.sort_values(["recording_id", "start_s"], ignore_index=True)

    def patients(self) -> pd.DataFrame:
        """The validated clinical table, index ``patient_id``; empty for a cohort without one."""
        if not self._exists("patients"):
            return pd.DataFrame(index=pd.Index([], name="patient_id", dtype=object))
        return self._read("patients").to_pandas().set_index("patient_id").sort_index()

    def rejects(self) -> pd.DataFrame:
        """All that ingest left out: ``stage``, ``unit``, ``subject``, ``reason``, ``detail``, ``source_sha256``."""
        if not self._exists("rejects"):
            return REJECTS_SCHEMA.empty_table().to_pandas().astype(str)
        frame = self._read("rejects").to_pandas()
        return frame.sort_values(["stage", "unit", "subject", "reason"], kind="stable", ignore_index=True)

    @contextmanager
    def reading(self, table: str) -> Iterator[Dataset]:
        """One of the tables, which must be there; ``StoreError`` if it cannot be read, now or while it is used."""
        place = str(self.folder / table)
        # With files opened through Python, as Delta Lake would, a process that ends soon after reading may abort:
        # Arrow's threads still let go of them when Python is gone.
        files = SubTreeFileSystem(os.path.abspath(place), LocalFileSystem())
        try:
            yield DeltaTable(place).to_pyarrow_dataset(filesystem=files)
        except (OSError, DeltaError, pa.ArrowException) as error:
            cause = str(error).split("\n")[0][:300].rstrip(".")
            raise StoreError(
                f"cannot read the table {table!r} of the store {self.folder}: {cause}. Is the disk or the network "
                "drive at fault? If the store is damaged, delete it and run ingest again."
            ) from None

    def signals_fingerprint(self) -> str:
        """Hash of what pretraining builds on: all but the clinical table."""
        recordings = self.recordings(["recording_id", "patient_id", "source_sha256", "signal_sha256", "duration_s"])
        duplicates = self.rejects().query("stage == 'duplicates'")["subject"]
        return fingerprint(
            {
                "recordings": recordings.to_numpy().tolist(),
                "duplicates": duplicates.tolist(),
                "settings": _signal_settings(self.cohort),
            }
        )

    def fingerprint(self) -> str:
        """Hash of the content that studies build on: the same for one ingest and for an interrupted and resumed one."""
        return fingerprint(
            {
                "signals": self.signals_fingerprint(),
                "patients": self.patients().reset_index().astype(str).to_numpy().tolist(),
                "clinical": yaml.safe_dump(self.cohort.model_dump(mode="json")["clinical"]),
            }
        )

    # --- Delta tables

    def _exists(self, table: str) -> bool:
        return DeltaTable.is_deltatable(str(self.folder / table))

    def _read(self, table: str, columns: Sequence[str] | None = None) -> pa.Table:
        with self.reading(table) as held:
            return held.to_table(columns=list(columns) if columns else None)

    def _write(self, name: str, table: pa.Table) -> None:
        properties = writer_properties(table.schema, table.nbytes, table.num_rows)
        with self._writing(name) as folder:
            write_deltalake(folder, table, mode="append", writer_properties=properties)

    def _delete(self, name: str, predicate: str) -> None:
        with self.reading(name) as held:  # What stays of a file is written again.
            groups = [group for file in islice(held.get_fragments(), 1) for group in file.row_groups[:1]]
            sizes = [(group.total_byte_size, group.num_rows) for group in groups] or [(0, 1)]
            properties = writer_properties(held.schema, *sizes[0])
        with self._writing(name) as folder:
            DeltaTable(folder).delete(predicate, writer_properties=properties)

    def _delete_named(self, table: str, condition: str, names: Sequence[str]) -> None:
        """Remove the rows of which what stands at the end of ``condition`` is one of ``names``."""
        if not self._exists(table):
            return
        for first in range(0, len(names), 500):
            quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in names[first : first + 500])
            self._delete(table, f"{condition} IN ({quoted})")

    @contextmanager
    def _writing(self, table: str) -> Iterator[str]:
        with _in_words(f"the table {table!r} of the store {self.folder}"):
            yield str(self.folder / table)

    def _segments_schema(self) -> pa.Schema:
        columns = [("recording_id", pa.string()), ("patient_id", pa.string())]
        columns += [(name, pa.float64()) for name in ("segment_s", "step_s", "start_s")]
        for channel in self.channels:
            columns += [(f"sqi_{channel}", pa.float32()), (f"defect_{channel}", pa.string())]
        columns += [("accepted", pa.bool_())]
        columns += [(name, pa.float32()) for name in VITALS]
        columns += [(name, pa.float32()) for name in device_columns(self.trends)]
        return pa.schema(columns)

    def _recordings_table(self, recordings: Sequence[StoredRecording]) -> pa.Table:
        columns = {name: pa.array([getattr(row, name) for row in recordings]) for name in IDENTITY}
        for channel in self.channels:
            for kind, arrow_type in CHANNEL_COLUMNS.items():
                values = [getattr(row.channels[channel], kind) for row in recordings]
                columns[f"{kind}_{channel}"] = arrow_column(values, arrow_type)
        for name in self.trends:
            missing = np.zeros(0, dtype=np.float32)
            values = [np.asarray(row.trends.get(name, missing), dtype=np.float32) for row in recordings]
            columns[f"trend_{name}"] = arrow_column(values, pa.list_(pa.float32()))
        return pa.table(columns)


def open_store(folder: str | Path) -> CohortStore:
    """The store that ``ppgssl ingest`` made of a cohort: its recordings, segments, patients and exclusions.

    Raises
    ------
    StoreError
        If the folder holds no store, or one of another version.

    Examples
    --------
    >>> from ppgssl import open_store
    >>> store = open_store("run/stores/ward")  # doctest: +SKIP
    >>> store.recordings(["recording_id", "duration_s"])  # doctest: +SKIP
    """
    return CohortStore(Path(folder).expanduser())


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only process that writes into the store in ``folder``, which is made if absent.

    A ``BusyError`` is raised if another process is writing there, a ``StoreError`` if it holds other files and no
    store.
    """
    _check_usable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder, f"the store {folder}"):
        yield


def _check_usable(folder: Path) -> None:
    """StoreError if the folder is neither a store, nor about to become one, nor empty, nor absent."""
    if (folder / COHORT_FILE).is_file():
        return
    names = {item.name for item in folder.iterdir()} if folder.exists() else set()
    if any(not name.startswith(".") for name in names - {FORMAT_FILE}):
        raise StoreError(f"{folder} holds other files and no store: give another folder with --out")
    if FORMAT_FILE in names:  # An ingest was stopped before it could say what the store is of.
        _check_format(folder)


@contextmanager
def _in_words(what: str) -> Iterator[None]:
    """Turn every way in which writing can fail into a StoreError."""
    try:
        yield
    except (OSError, DeltaError) as error:
        # Delta Lake wraps the system's message in several layers, and one of its threads reports a panic too.
        causes = _SYSTEM_ERROR.findall(str(error))
        cause = causes[-1].strip() if causes else str(error)[:300]
        panic = " If a line above reports that a thread panicked: this is why." if causes else ""
        raise StoreError(
            f"cannot write {what}: {cause}. Is there room on the disk, and "
            f"may you write there? What was finished is kept; run the same command again to go on.{panic}"
        ) from None


def _check_format(folder: Path) -> None:
    try:
        found = json.loads((folder / FORMAT_FILE).read_text(encoding="utf-8"))["format"]
    except (OSError, ValueError, TypeError, KeyError):
        found = None
    if found != FORMAT:
        raise StoreError(
            f"the store {folder} was made by another version of ppgssl, whose tables this version does not read. "
            "Delete it, or give another folder, and run ingest again."
        )


def _signal_settings(cohort: Cohort) -> dict[str, object]:
    dump = cohort.model_dump(mode="json")
    return {key: dump[key] for key in ("signals", "signal", "segments", "quality", "vitals")}
