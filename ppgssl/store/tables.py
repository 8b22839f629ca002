"""The store of a cohort: Delta Lake tables in one folder, appended to in whole commits.

A recording is in the store when its row in ``recordings`` is; segments of a recording that never arrived, after an
interruption between two commits, are dropped when the store is next opened for writing.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import yaml
from deltalake import ColumnProperties, DeltaTable, WriterProperties, write_deltalake
from deltalake.exceptions import DeltaError
from numpy.typing import DTypeLike, NDArray
from pyarrow.dataset import Dataset
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from ppgssl.config import Cohort, TrendName, load_cohort, save_description
from ppgssl.errors import StoreError
from ppgssl.folder_lock import locked
from ppgssl.provenance import fingerprint, write_atomically
from ppgssl.records import FloatArray, Reject
from ppgssl.signals.vitals import VITALS

COHORT_FILE = "cohort.yaml"
FORMAT_FILE = "format.json"
FORMAT = 2
"""Of the tables; a store of another format has to be made anew."""
# Uncompressed size of a row group of samples: studies that stream their samples read one at a time.
_ROW_GROUP_BYTES = 4_000_000
_SYSTEM_ERROR = re.compile(r"[^:]+ \(os error \d+\)")
JOINED = "joined recordings, split"
"""Reason of the one kind of reject that takes nothing out: its subject is the raw file, which is held in pieces."""


@dataclass(frozen=True)
class StoredChannel:
    """One channel of a stored recording, at the store's sampling rate; see :mod:`ppgssl.signals.preprocessing`.

    Attributes
    ----------
    samples : float32 array, shape (n_samples,)
        Band-passed and resampled; NaN where unusable.
    flags : uint8 array, shape (n_samples,)
        Defects of the raw signal.
    baseline : float32 array, shape (ceil(duration in s),)
        Raw level, one value a second.
    amplitude : float
        Range between the 5th and the 95th percentile of the usable samples, in the raw unit.
    polarity : float
        Score of :func:`ppgssl.signals.polarity.polarity` before any inversion; NaN where it was not asked for.
    inverted : bool
        Whether the samples were turned over.
    """

    samples: FloatArray
    flags: NDArray[np.uint8]
    baseline: FloatArray
    amplitude: float
    polarity: float = float("nan")
    inverted: bool = False


@dataclass(frozen=True)
class StoredRecording:
    """A row of ``recordings``: a recording, or a part of a long one.

    ``start_s`` is where the part begins in its recording; ``n_of_source`` is how many rows the raw file makes in all,
    so that a file of which some are missing can be told from a complete one. ``trends`` are the device's, from the
    start of the part on.
    """

    recording_id: str
    patient_id: str
    visit: str
    source: str
    source_sha256: str
    signal_sha256: str
    source_fs_hz: float
    duration_s: float
    fs_hz: float
    channels: dict[str, StoredChannel] = field(repr=False)
    trends: Mapping[TrendName, FloatArray] = field(default_factory=dict, repr=False)
    start_s: float = 0.0
    n_of_source: int = 1


_IDENTITY = [item.name for item in fields(StoredRecording) if item.name not in ("channels", "trends")]
_REJECTS = pa.schema(
    [(name, pa.string()) for name in ("stage", "unit", "subject", "reason", "detail", "source_sha256")]
)


class CohortStore:
    """The tables of one cohort: ``recordings``, ``segments``, ``patients``, ``rejects``.

    Parameters
    ----------
    folder
        Must hold a store; :meth:`create` makes one.

    Raises
    ------
    StoreError
        If the folder holds no store.
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

        ``key_fingerprint`` tells the key of its pseudonyms; empty where patients are called by their ids.

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
        """Tells the key of the pseudonyms that patients have here; empty where they have none."""
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

        Recordings come last: what is said of a file is there before the file counts as read.
        """
        if len(rejects):
            self._write("rejects", pa.Table.from_pandas(rejects, _REJECTS, preserve_index=False))
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
            self._write("rejects", pa.Table.from_pandas(now, _REJECTS, preserve_index=False))
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

    def recordings(self, columns: Sequence[str] = tuple(_IDENTITY)) -> pd.DataFrame:
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
        wanted = [*_IDENTITY, *(f"{kind}_{name}" for name in channels for kind in _CHANNEL_COLUMNS)]
        wanted += [f"trend_{name}" for name in self.trends]
        with self.reading("recordings") as held:
            for batch in held.to_batches(columns=wanted, batch_size=32, batch_readahead=1, fragment_readahead=1):
                for number in range(batch.num_rows):
                    yield _stored_recording(batch, number, channels, self.trends)

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
            return _REJECTS.empty_table().to_pandas().astype(str)
        frame = self._read("rejects").to_pandas()
        return frame.sort_values(["stage", "unit", "subject", "reason"], kind="stable", ignore_index=True)

    @contextmanager
    def reading(self, table: str) -> Iterator[Dataset]:
        """One of the tables, which must be there.

        Raises
        ------
        StoreError
            If it is damaged or cannot be read, now or while it is used.
        """
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
        properties = _writer_properties(table.schema, table.nbytes, table.num_rows)
        with self._writing(name) as folder:
            write_deltalake(folder, table, mode="append", writer_properties=properties)

    def _delete(self, name: str, predicate: str) -> None:
        with self.reading(name) as held:  # What stays of a file is written anew.
            groups = [group for file in islice(held.get_fragments(), 1) for group in file.row_groups[:1]]
            sizes = [(group.total_byte_size, group.num_rows) for group in groups] or [(0, 1)]
            properties = _writer_properties(held.schema, *sizes[0])
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
        columns = {name: pa.array([getattr(row, name) for row in recordings]) for name in _IDENTITY}
        for channel in self.channels:
            for kind, arrow_type in _CHANNEL_COLUMNS.items():
                values = [getattr(row.channels[channel], kind) for row in recordings]
                columns[f"{kind}_{channel}"] = _column(values, arrow_type)
        for name in self.trends:
            missing = np.zeros(0, dtype=np.float32)
            values = [np.asarray(row.trends.get(name, missing), dtype=np.float32) for row in recordings]
            columns[f"trend_{name}"] = _column(values, pa.list_(pa.float32()))
        return pa.table(columns)


def device_columns(trends: Sequence[str]) -> list[str]:
    """Columns of ``segments`` that tell what the device displayed: medians, and the largest SQI."""
    largest = ["device_sqi_max"] if "sqi" in trends else []
    return [*(f"device_{name}" for name in trends), *largest]


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Be the only process that writes into the store in ``folder``, which is made if absent.

    Raises
    ------
    BusyError
        If another process is writing there.
    StoreError
        If the folder holds other files and no store.
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
        # Delta Lake wraps what the system says in several layers, and one of its threads talks of a panic besides.
        said = _SYSTEM_ERROR.findall(str(error))
        panic = " If a line above says that a thread panicked: this is why." if said else ""
        raise StoreError(
            f"cannot write {what}: {said[-1].strip() if said else str(error)[:300]}. Is there room on the disk, and "
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


def _writer_properties(schema: pa.Schema, n_bytes: int, n_rows: int) -> WriterProperties:
    """Samples, which no dictionary shortens and no query selects by, have their bytes transposed: they pack better.

    ``n_bytes``, uncompressed, in ``n_rows`` decide how many rows make a row group.
    """
    if not any(pa.types.is_list(field.type) for field in schema):
        return WriterProperties(compression="ZSTD", compression_level=1)
    # Nested columns can be addressed by default alone, so the others are named.
    other = {
        field.name: ColumnProperties(dictionary_enabled=False, encoding="PLAIN")
        for field in schema
        if not pa.types.is_list(field.type)
    }
    samples = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE", encoding="BYTE_STREAM_SPLIT")
    return WriterProperties(
        compression="ZSTD",
        compression_level=1,
        default_column_properties=samples,
        column_properties=other,
        max_row_group_size=max(1, _ROW_GROUP_BYTES * n_rows // max(1, n_bytes)),
    )


def _column(values: Sequence[object], arrow_type: pa.DataType) -> pa.Array:
    if not pa.types.is_list(arrow_type):
        return pa.array(values, type=arrow_type)
    arrays = [np.asarray(array) for array in values]
    offsets = np.concatenate([[0], np.cumsum([len(array) for array in arrays])]).astype(np.int32)
    flat = np.concatenate(arrays).view(np.int8) if arrow_type.value_type == pa.int8() else np.concatenate(arrays)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat, type=arrow_type.value_type))


_CHANNEL_COLUMNS = {
    "samples": pa.list_(pa.float32()),
    "flags": pa.list_(pa.int8()),
    "baseline": pa.list_(pa.float32()),
    "amplitude": pa.float64(),
    "polarity": pa.float32(),
    "inverted": pa.bool_(),
}


def _stored_recording(
    batch: pa.RecordBatch, number: int, channels: Sequence[str], trends: Sequence[TrendName]
) -> StoredRecording:
    held = {
        channel: StoredChannel(
            samples=_values(batch, f"samples_{channel}", number, np.float32),
            flags=_values(batch, f"flags_{channel}", number, np.uint8),
            baseline=_values(batch, f"baseline_{channel}", number, np.float32),
            **{kind: batch.column(f"{kind}_{channel}")[number].as_py() for kind in _SCALARS},
        )
        for channel in channels
    }
    identity = {name: batch.column(name)[number].as_py() for name in _IDENTITY}
    device = {name: _values(batch, f"trend_{name}", number, np.float32) for name in trends}
    return StoredRecording(**identity, channels=held, trends=device)


_SCALARS = ("amplitude", "polarity", "inverted")


def _values(batch: pa.RecordBatch, column: str, number: int, dtype: DTypeLike) -> Any:
    values: pa.Array = batch.column(column)[number].values  # noqa: PD011 - a list of Arrow, not of pandas
    return np.asarray(values, dtype=dtype)


def _signal_settings(cohort: Cohort) -> dict[str, object]:
    dump = cohort.model_dump(mode="json")
    return {key: dump[key] for key in ("signals", "signal", "segments", "quality", "vitals")}


def rejects_frame(stage: str, rejects: Iterable[Reject]) -> pd.DataFrame:
    """Rows of ``rejects``, sorted."""
    return sourced_rejects_frame(stage, ((reject, "") for reject in rejects))


def sourced_rejects_frame(stage: str, rejects: Iterable[tuple[Reject, str]]) -> pd.DataFrame:
    """As :func:`rejects_frame`, of pairs of a reject and the hash of the raw file that it speaks of."""
    rows = [{"stage": stage, **asdict(reject), "source_sha256": sha256} for reject, sha256 in rejects]
    frame = pd.DataFrame(rows, columns=_REJECTS.names).astype(str)
    return frame.sort_values(["stage", "unit", "subject", "reason"], kind="stable", ignore_index=True)
