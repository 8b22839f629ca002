"""Stage 1: raw files and a clinical table -> the store of a cohort."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from ppgssl.config import Cohort, cohort_root, load_cohort
from ppgssl.errors import ConfigError, ReadError, SignalError
from ppgssl.provenance import Stopwatch, file_sha256, fingerprint, read_run
from ppgssl.readers import get_reader
from ppgssl.readers.clinical import Clinical, id_hint, read_clinical
from ppgssl.readers.files import SourceFile, find_files
from ppgssl.records import Recording, Reject, Signal, modality
from ppgssl.signals.artefacts import Defect
from ppgssl.signals.filters import BANDS_HZ, check_band
from ppgssl.signals.preprocessing import Processed, preprocess
from ppgssl.store.segmenting import concatenate, ensure_grid, segment_rows
from ppgssl.store.tables import JOINED, CohortStore, StoredChannel, StoredRecording, rejects_frame

# A commit holds about this many bytes of samples, so that memory stays bounded and commits stay few.
_COMMIT_BYTES = 64_000_000
# Of recordings with the cohort's usual length, from which a length that is a multiple of it is suspicious.
_USUAL_SHARE = 0.8

# What one bad file may raise without stopping the others.
_BAD_FILE = (ReadError, SignalError, OSError)
_SIGNAL_COLUMNS = ("recording_id", "patient_id", "source", "signal_sha256", "duration_s")

Result = TypeVar("Result")
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class IngestSummary:
    """What one ``ingest`` found and did."""

    store: Path
    n_files: int
    n_files_new: int
    n_files_gone: int
    n_recordings: int
    n_segments: int
    n_segments_accepted: int
    n_patients: int
    rejects: pd.DataFrame = field(repr=False)


@dataclass(frozen=True)
class _FileResult:
    source: SourceFile
    sha256: str
    recordings: list[StoredRecording]
    segments: pd.DataFrame
    rejects: list[Reject]

    @property
    def n_bytes(self) -> int:
        return sum(
            channel.samples.nbytes + channel.flags.nbytes
            for recording in self.recordings
            for channel in recording.channels.values()
        )


def ingest(cohort_file: Path, folder: Path, *, n_jobs: int = -1, progress: Progress | None = None) -> IngestSummary:
    """Bring the store in ``folder`` up to date with a cohort's files.

    What is new or changed is read, and the rest is left as it is. Recordings whose files are gone stay in the store, so
    that raw files can be archived; ``rejects`` names them.

    Parameters
    ----------
    cohort_file
        ``cohort.yaml``.
    folder
        The store; made if absent. After an interruption the same call goes on where it stopped.
    n_jobs
        Processes; -1 is one a core.
    progress
        Called with the number of files done and the number to do.

    Raises
    ------
    ConfigError
        If the description is wrong, or no file matches it. A bad file, row or cell is never an error but a row of
        ``rejects``.
    StoreError
        If the store was made with other signal settings.
    """
    watch = Stopwatch()
    cohort, root, sources, escaped = _described(cohort_file)
    clinical = read_clinical(cohort.clinical, root) if cohort.clinical else None
    store = CohortStore.create(folder, cohort)
    store.drop_orphans()
    to_do, gone = _new_and_gone(store, sources)
    _add_files(store, cohort, to_do, n_jobs, progress)
    _split_joined(store, cohort, {source.relative: source for source in sources})
    store.replace_rejects("folder", [*escaped, *map(_gone_note, gone)])
    store.replace_rejects("duplicates", find_duplicates(store.recordings(_SIGNAL_COLUMNS)))
    patients = {source.patient_id for source in sources} | set(store.recordings(["patient_id"])["patient_id"])
    store.replace_rejects("clinical", clinical_rejects(clinical, patients))
    if clinical is not None:
        store.replace_patients(clinical.patients)
    ensure_grid(store, cohort.segments)
    _record_run(store, watch, n_files=len(sources))
    return _summary(store, n_files=len(sources), n_new=len(to_do), n_gone=len(gone))


def _described(cohort_file: Path) -> tuple[Cohort, Path, list[SourceFile], list[Reject]]:
    """The cohort, its root, its files, and files that lie outside the root."""
    cohort = load_cohort(cohort_file)
    root = cohort_root(cohort, cohort_file)
    get_reader(cohort.signals.reader).parse_options(cohort.signals.options)  # refuses both before any file is read
    sources, escaped = find_files(cohort, root)
    if not sources:
        raise ConfigError(f"{cohort_file}: no file under {root} matches `signals.files`: {cohort.signals.files!r}")
    return cohort, root, sources, escaped


# --- files -> recordings ---------------------------------------------------------------------------------------


def _new_and_gone(store: CohortStore, sources: Sequence[SourceFile]) -> tuple[list[SourceFile], list[str]]:
    """Files that must be read, of which the store forgets what it held; and those whose recordings alone are left."""
    known = store.recordings(["source", "source_sha256"])
    noted = store.rejects().query("stage == 'files'")
    failed = noted[noted["unit"] == "file"]
    seen = dict(zip(known["source"], known["source_sha256"], strict=True))
    seen |= dict(zip(failed["subject"], failed["source_sha256"], strict=True))
    # Only files that the store knows are hashed here; new ones are hashed where they are read.
    to_do = [source for source in sources if source.relative not in seen or seen[source.relative] != _sha256(source)]
    present, unread = ({source.relative for source in group} for group in (sources, to_do))
    held = {*seen, *noted["subject"]}
    gone_unread = (held - set(known["source"])) - present
    store.forget_sources(sorted(gone_unread | held & unread))
    return to_do, sorted(set(known["source"]) - present)


def _gone_note(name: str) -> Reject:
    return Reject("source", name, "file no longer in the folder", "its recordings are kept in the store")


def _add_files(
    store: CohortStore, cohort: Cohort, to_do: Sequence[SourceFile], n_jobs: int, progress: Progress | None
) -> None:
    batch: list[_FileResult] = []
    n_bytes = 0
    try:
        for number, result in enumerate(_in_parallel(process_file, to_do, cohort, n_jobs), start=1):
            batch.append(result)
            n_bytes += result.n_bytes
            if n_bytes >= _COMMIT_BYTES:
                # Emptied first: interrupted half way, a batch is read anew, where committing it again would double it.
                full, batch, n_bytes = batch, [], 0
                _commit(store, full)
            if progress:
                progress(number, len(to_do))
    finally:  # After Ctrl-C too: what was read is kept, and the next run goes on from there.
        _commit(store, batch)


def _in_parallel(
    function: Callable[[SourceFile, Cohort], Result], sources: Sequence[SourceFile], cohort: Cohort, n_jobs: int
) -> Iterator[Result]:
    if len(sources) < 8:  # Starting processes would cost more than it saves.
        yield from (function(source, cohort) for source in sources)
        return
    with warnings.catch_warnings():
        # After Ctrl-C joblib would talk of work that was done in vain.
        warnings.filterwarnings("ignore", module="joblib")
        run = Parallel(n_jobs=n_jobs, return_as="generator")
        yield from run(delayed(function)(source, cohort) for source in sources)


def _commit(store: CohortStore, batch: Sequence[_FileResult]) -> None:
    if not batch:
        return
    store.append(
        [recording for result in batch for recording in result.recordings],
        concatenate(result.segments for result in batch),
        pd.concat([rejects_frame("files", result.rejects, result.sha256) for result in batch], ignore_index=True),
    )


def process_file(source: SourceFile, cohort: Cohort, *, split_s: float | None = None) -> _FileResult:
    """Read one raw file, and make of each recording in it what the store keeps.

    ``split_s`` cuts recordings into pieces of that length, for files that hold several recordings joined.
    """
    sha256 = _sha256(source)
    try:
        recordings = list(_read(source, cohort))
        if split_s is not None:
            recordings = [piece for recording in recordings for piece in _split(recording, split_s)]
        stored = [_store_recording(recording, cohort, sha256) for recording in recordings]
    except _BAD_FILE as error:
        return _FileResult(source, sha256, [], pd.DataFrame(), [_file_reject(source, error)])
    segments = segment_rows(stored, cohort.segments)
    return _FileResult(source, sha256, stored, segments, [])


def _file_reject(source: SourceFile, error: Exception) -> Reject:
    reason = "signal cannot be processed" if isinstance(error, SignalError) else "file cannot be read"
    return Reject("file", source.relative, reason, str(error))


def _sha256(source: SourceFile) -> str:
    try:
        return file_sha256(source.path)
    except OSError:
        return ""  # It vanished or may not be read: the reader says so in its own words.


def _read(source: SourceFile, cohort: Cohort) -> Iterator[Recording]:
    files = cohort.signals
    reader = get_reader(files.reader)
    columns = [channel.column for channel in files.channels.values()]
    pieces = reader.open(source.path, columns, files.fs_hz, reader.parse_options(files.options))
    for number, piece in enumerate(pieces):
        signals = piece.whole()
        yield Recording(
            recording_id=source.recording_id if len(pieces) == 1 else f"{source.recording_id}#{number}",
            patient_id=source.patient_id,
            signals={name: signals[channel.column] for name, channel in files.channels.items()},
            source=source.relative,
            visit=source.visit,
        )


def _split(recording: Recording, split_s: float) -> list[Recording]:
    n_pieces = round(max(signal.duration_s for signal in recording.signals.values()) / split_s)
    return [
        Recording(
            recording_id=f"{recording.recording_id}#{number}",
            patient_id=recording.patient_id,
            signals={name: _piece(signal, number, split_s) for name, signal in recording.signals.items()},
            source=recording.source,
            visit=recording.visit,
        )
        for number in range(n_pieces)
    ]


def _piece(signal: Signal, number: int, split_s: float) -> Signal:
    edges = [round((number + end) * split_s * signal.fs_hz) for end in (0, 1)]
    return Signal(signal.samples[edges[0] : edges[1]], signal.fs_hz)


def _store_recording(recording: Recording, cohort: Cohort, source_sha256: str) -> StoredRecording:
    processed = {name: _process(name, signal, cohort) for name, signal in recording.signals.items()}
    n_samples = max(len(item.samples) for item in processed.values())
    n_baseline = max(len(item.baseline) for item in processed.values())
    return StoredRecording(
        recording_id=recording.recording_id,
        patient_id=recording.patient_id,
        visit=recording.visit,
        source=recording.source,
        source_sha256=source_sha256,
        signal_sha256=recording.sha256(),
        source_fs_hz=max(signal.fs_hz for signal in recording.signals.values()),
        duration_s=max(signal.duration_s for signal in recording.signals.values()),
        fs_hz=cohort.signal.fs_hz,
        channels={
            name: StoredChannel(
                samples=_padded(item.samples, n_samples, np.nan),
                flags=_padded(item.flags, n_samples, int(Defect.GAP)),
                baseline=_padded(item.baseline, n_baseline, np.nan),
                amplitude=_amplitude(item.samples),
            )
            for name, item in processed.items()
        },
    )


def _process(name: str, signal: Signal, cohort: Cohort) -> Processed:
    band_hz = _band_hz(name, cohort)
    processed = preprocess(signal.samples, fs_hz=signal.fs_hz, fs_out_hz=cohort.signal.fs_hz, band_hz=band_hz)
    if cohort.signals.channels[name].inverted is not True:
        return processed
    return Processed(-processed.samples, processed.flags, processed.baseline)


def _band_hz(name: str, cohort: Cohort) -> tuple[float, float]:
    kind = modality(name)
    return cohort.signal.band_hz.get(kind, BANDS_HZ[kind])  # type: ignore[call-overload]


def _padded(values: np.ndarray, n: int, fill: float) -> np.ndarray:
    return values if len(values) == n else np.pad(values, (0, n - len(values)), constant_values=fill)


def _amplitude(samples: np.ndarray) -> float:
    finite = samples[np.isfinite(samples)]
    if not len(finite):
        return float("nan")
    low, high = np.percentile(finite, [5, 95])
    return float(high - low)


# --- after all files: what only the whole cohort shows ---------------------------------------------------------


def _split_joined(store: CohortStore, cohort: Cohort, sources: dict[str, SourceFile]) -> None:
    """Split recordings that are a whole multiple of the length that nearly all others have."""
    recordings = store.recordings(_SIGNAL_COLUMNS)
    joined = find_joined(recordings)
    names = [name for name in dict.fromkeys(joined["source"]) if name in sources]
    if not names:
        return
    usual_s = float(recordings["duration_s"].mode().iloc[0])
    results = [process_file(sources[name], cohort, split_s=usual_s) for name in names]
    for result in results:
        result.rejects.append(_joined_reject(result.source.relative))
    store.forget_sources(names)
    _commit(store, results)


def _joined_reject(source: str) -> Reject:
    detail = "a whole number of times as long as nearly all other recordings: split at that length"
    return Reject("recording", source, JOINED, detail)


def find_joined(recordings: pd.DataFrame) -> pd.DataFrame:
    """Recordings whose length is a multiple (2 or more) of the length that at least 80 % of the cohort has."""
    lengths = recordings["duration_s"].astype(float).round(6)
    usual = lengths.mode()
    if usual.empty or (lengths == usual.iloc[0]).mean() < _USUAL_SHARE:
        return recordings.iloc[:0]
    ratio = lengths / usual.iloc[0]
    return recordings[(ratio >= 2) & np.isclose(ratio, ratio.round(), atol=1e-6)]


def find_duplicates(recordings: pd.DataFrame) -> list[Reject]:
    """Recordings with identical signals: all but the first of one patient; all of them if the patients differ."""
    repeated = recordings[recordings.duplicated("signal_sha256", keep=False)]
    rejects: list[Reject] = []
    for _, group in repeated.groupby("signal_sha256"):
        names = ", ".join(group["recording_id"])
        if len(set(group["patient_id"])) == 1:
            reason, excluded = "identical to another recording of the patient", group["recording_id"].iloc[1:]
        else:
            reason, excluded = "identical signals under two patients", group["recording_id"]
        rejects.extend(Reject("recording", name, reason, f"identical signals: {names}") for name in excluded)
    return rejects


def clinical_rejects(clinical: Clinical | None, patients_with_signals: set[str]) -> list[Reject]:
    """What is wrong with the clinical table, and the patients that only the table or only the files know."""
    if clinical is None:
        return []
    kept = set(clinical.patients.index)
    in_table = kept | set(clinical.rejected_ids)
    hint = id_hint(in_table, patients_with_signals)
    hint = f" ({hint})" if hint else ""
    no_signals = sorted(kept - patients_with_signals)
    no_row = sorted(patients_with_signals - in_table)
    return [
        *clinical.problems,
        *(
            Reject("patient", name, "patient without signals", f"no signal file names this patient{hint}")
            for name in no_signals
        ),
        *(
            Reject("patient", name, "signals without a patient", f"no row in the clinical table{hint}")
            for name in no_row
        ),
    ]


# --- check: the same complaints, without filtering, judging or storing a signal --------------------------------


@dataclass(frozen=True)
class CheckSummary:
    """What ``ingest`` would read, and all that it would complain about."""

    n_files: int
    n_recordings: int
    n_patients: int
    rejects: pd.DataFrame = field(repr=False)


def check_cohort(cohort_file: Path, *, n_jobs: int = -1, progress: Progress | None = None) -> CheckSummary:
    """Read a cohort's description, clinical table and raw files, and say what is wrong with each.

    Raises
    ------
    ConfigError
        As :func:`ingest`.
    """
    cohort, root, sources, escaped = _described(cohort_file)
    clinical = read_clinical(cohort.clinical, root) if cohort.clinical else None
    looks = []
    for number, look in enumerate(_in_parallel(_look, sources, cohort, n_jobs), start=1):
        looks.append(look)
        if progress:
            progress(number, len(sources))
    recordings = pd.DataFrame([row for rows, _ in looks for row in rows], columns=list(_SIGNAL_COLUMNS))
    stages = {
        "folder": escaped,
        "files": [reject for _, rejects in looks for reject in rejects],
        "joined": [_joined_reject(source) for source in dict.fromkeys(find_joined(recordings)["source"])],
        "duplicates": find_duplicates(recordings),
        "clinical": clinical_rejects(clinical, {source.patient_id for source in sources}),
    }
    return CheckSummary(
        n_files=len(sources),
        n_recordings=len(recordings),
        n_patients=recordings["patient_id"].nunique(),
        rejects=pd.concat([rejects_frame(stage, rejects) for stage, rejects in stages.items()], ignore_index=True),
    )


def _look(source: SourceFile, cohort: Cohort) -> tuple[list[dict[str, object]], list[Reject]]:
    try:
        recordings = list(_read(source, cohort))
        for recording in recordings:
            _check_bands(recording, cohort)
    except _BAD_FILE as error:
        return [], [_file_reject(source, error)]
    rows = [
        {
            "recording_id": recording.recording_id,
            "patient_id": recording.patient_id,
            "source": recording.source,
            "signal_sha256": recording.sha256(),
            "duration_s": max(signal.duration_s for signal in recording.signals.values()),
        }
        for recording in recordings
    ]
    return rows, []


def _check_bands(recording: Recording, cohort: Cohort) -> None:
    for name, signal in recording.signals.items():
        low_hz, high_hz = _band_hz(name, cohort)
        for fs_hz in (signal.fs_hz, cohort.signal.fs_hz):
            check_band(fs_hz=fs_hz, low_hz=low_hz, high_hz=high_hz)


def _record_run(store: CohortStore, watch: Stopwatch, *, n_files: int) -> None:
    made_of = fingerprint({"content": store.fingerprint(), "rejects": store.rejects().to_numpy().tolist()})
    before = read_run(store.folder)
    if before is None or before.get("made_of") != made_of:
        watch.write(
            store.folder, "ingest", made_of=made_of, n_files=n_files, cohort=store.cohort.model_dump(mode="json")
        )


def _summary(store: CohortStore, *, n_files: int, n_new: int, n_gone: int) -> IngestSummary:
    grid = store.cohort.segments
    segments = store.segments(grid.segment_s, grid.step_s)
    recordings = store.recordings(["patient_id"])
    return IngestSummary(
        store=store.folder,
        n_files=n_files,
        n_files_new=n_new,
        n_files_gone=n_gone,
        n_recordings=len(recordings),
        n_segments=len(segments),
        n_segments_accepted=int(segments["accepted"].sum()),
        n_patients=recordings["patient_id"].nunique(),
        rejects=store.rejects(),
    )
