"""Stage 1: raw files and a clinical table -> the store of a cohort."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import pandas as pd

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.loading import cohort_root, load_cohort
from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.parallel import Died, Progress, Workers, silent, workers
from ppgssl.core.provenance import Stopwatch, fingerprint, read_run
from ppgssl.core.reasons import Reason
from ppgssl.core.records import Reject
from ppgssl.readers import get_reader
from ppgssl.readers.clinical.table import Clinical, read_clinical
from ppgssl.readers.files import SourceFile, find_files
from ppgssl.readers.privacy.pseudonyms import Pseudonyms
from ppgssl.readers.privacy.redaction import redacted_error
from ppgssl.readers.privacy.secret_key import key_warnings, load_key
from ppgssl.readers.sources import source_bytes, source_sha256
from ppgssl.stages.ingest.file_tasks import (
    SIGNAL_COLUMNS,
    FileRows,
    FileTask,
    LongSource,
    do_task,
    file_reject,
    look,
    plan,
    plan_long,
)
from ppgssl.stages.ingest.whole_cohort import (
    clinical_rejects,
    find_duplicates,
    find_joined,
    joined_reject,
    vital_rejects,
)
from ppgssl.store.rows import rejects_frame, sourced_rejects_frame
from ppgssl.store.segmenting import concatenate, ensure_grid
from ppgssl.store.tables import CohortStore, only_writer

# A commit holds about this many bytes of samples, so that memory stays bounded and commits stay few.
_COMMIT_BYTES = 24_000_000
# Fewer and smaller files are read right here: starting processes would cost more than it saves.
_FEW_FILES, _FEW_BYTES = 8, 16_000_000

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class IngestSummary:
    """Counts and rejects of one ``ingest``."""

    store: Path
    n_files: int
    n_files_new: int
    n_files_gone: int
    n_recordings: int
    n_segments: int
    n_segments_accepted: int
    n_patients: int
    rejects: pd.DataFrame = field(repr=False)
    warnings: tuple[str, ...] = ()


def ingest(
    cohort_file: Path,
    folder: Path,
    *,
    described: Cohort | None = None,
    n_jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> IngestSummary:
    """Bring the store in ``folder`` up to date with a cohort's files.

    What is new or changed is read, and the rest is left as it is. Recordings whose files are gone stay in the store, so
    that raw files can be archived; ``rejects`` names them.

    Parameters
    ----------
    cohort_file
        ``cohort.yaml``.
    folder
        The store; made if absent. After an interruption, of whatever kind, the same call goes on where it stopped.
    described
        What the file describes, where it was read and changed; its paths are relative to the file.
    n_jobs, scheduler
        See :func:`ppgssl.core.parallel.workers`.
    progress
        Called with the number of files done and the number to do.

    Raises
    ------
    ConfigError
        If the description is wrong, no file matches it, or the key of its pseudonyms is absent or too short. A bad
        file, row or cell is never an error but a row of ``rejects``.
    StoreError
        If the store was made with other signal settings or another key, cannot be written, or is being written by
        another process.
    """
    watch = Stopwatch()
    cohort, root, names = _open_cohort(cohort_file, described)
    sources, escaped = _find_sources(cohort, cohort_file, root, names)
    clinical = clinical_table(cohort, root, names)
    with only_writer(folder):
        store = CohortStore.create(folder, cohort, key_fingerprint=names.fingerprint if names else "")
        store.forget_sources(store.incomplete_sources())
        store.drop_orphans()
        to_do, gone = _new_and_gone(store, sources)
        if to_do:
            with workers(_n_jobs(to_do, cohort, n_jobs), scheduler=scheduler, reads=[root]) as pool:
                add_files(store, cohort, to_do, pool, progress)
            store.drop_incomplete()
        split_joined(store, cohort, sources)
        kept = [Reject(Reason.FILE_GONE, name, "its recordings are kept in the store") for name in gone]
        store.replace_rejects("folder", [*escaped, *kept])
        store.replace_rejects("vitals", vital_rejects(cohort))
        store.replace_rejects("duplicates", find_duplicates(store.recordings(SIGNAL_COLUMNS)))
        patients = {source.patient_id for source in sources} | set(store.recordings(["patient_id"])["patient_id"])
        store.replace_rejects("clinical", clinical_rejects(clinical, patients, names.originals() if names else None))
        if clinical is not None:
            store.replace_patients(clinical.patients)
        ensure_grid(store, cohort.segments)
        _record_run(store, watch, n_files=len(sources))
        counts = _summary(store, n_files=len(sources), n_new=len(to_do), n_gone=len(gone))
    if cohort.privacy is None:
        return counts
    folders = [("the folder of the raw files", root), ("the store", folder)]
    return replace(counts, warnings=key_warnings(cohort.privacy.pseudonyms, cohort_file, folders))


def _open_cohort(cohort_file: Path, described: Cohort | None = None) -> tuple[Cohort, Path, Pseudonyms | None]:
    """The cohort, its root, and who names its patients where it has `privacy`."""
    cohort = described or load_cohort(cohort_file)
    root = cohort_root(cohort, cohort_file)
    get_reader(cohort.signals.reader).parse_options(cohort.signals.options)  # refuses both before any file is read
    return cohort, root, Pseudonyms(load_key(cohort.privacy.pseudonyms, cohort_file)) if cohort.privacy else None


def _find_sources(
    cohort: Cohort, cohort_file: Path, root: Path, names: Pseudonyms | None
) -> tuple[list[SourceFile], list[Reject]]:
    """The cohort's files, and what is wrong with others; from here on, nothing but a path shows who a patient is."""
    sources, escaped = find_files(cohort, root)
    if not sources:
        raise ConfigError(f"{cohort_file}: no file under {root} matches `signals.files`: {cohort.signals.files!r}")
    if names is None:
        return sources, escaped
    # In the order of the pseudonyms: the order of the rows of a table would show that of the ids.
    renamed = sorted((names.source(source, cohort) for source in sources), key=lambda source: source.relative)
    return renamed, [names.reject(reject, cohort) for reject in escaped]


def clinical_table(
    cohort: Cohort, root: Path, names: Pseudonyms | None, *, instead: Path | None = None
) -> Clinical | None:
    """The cohort's clinical table, if it has one, with the patients' ids or pseudonyms.

    ``instead`` is read in place of ``clinical.file``, and as that is described. Errors are those of
    :func:`ppgssl.readers.clinical.table.read_clinical`; with pseudonyms, they show no value and no name of a file.
    """
    if cohort.clinical is None:
        return None
    if names is None:
        return read_clinical(cohort.clinical, root, instead=instead)
    try:
        return read_clinical(cohort.clinical, root, pseudonym=names.patient, instead=instead)
    except ConfigError as error:
        raise redacted_error(error, cohort) from None


def original_names(cohort_file: Path) -> dict[str, str]:
    """Pseudonym -> original name of patients, recordings and files of a cohort with `privacy`, from the raw data.

    Raises ConfigError as :func:`ingest`; and if the cohort has no `privacy`.
    """
    cohort, root, names = _open_cohort(cohort_file)
    if names is None:
        raise ConfigError(f"{cohort_file} has no `privacy`: its patients have no pseudonyms")
    _find_sources(cohort, cohort_file, root, names)
    clinical_table(cohort, root, names)
    return names.originals()


# --- files -> recordings ---------------------------------------------------------------------------------------


def _new_and_gone(store: CohortStore, sources: Sequence[SourceFile]) -> tuple[list[SourceFile], list[str]]:
    """Files that must be read, of which the store forgets what it held; and those whose recordings alone are left."""
    known = store.recordings(["source", "source_sha256"])
    noted = store.rejects().query("stage == 'files'")
    failed = noted[noted["unit"] == "file"]
    seen = dict(zip(known["source"], known["source_sha256"], strict=True))
    seen |= dict(zip(failed["subject"], failed["source_sha256"], strict=True))
    # Only files that the store knows are hashed here; new ones are hashed where they are read.
    to_do = [
        source
        for source in sources
        if source.relative not in seen or seen[source.relative] != source_sha256(source, store.cohort)
    ]
    present, unread = ({source.relative for source in group} for group in (sources, to_do))
    is_note = (noted["unit"] == "recording") & (noted["reason"] != Reason.JOINED)
    held = {*seen, *noted.loc[~is_note, "subject"]}
    gone_unread = (held - set(known["source"])) - present
    store.forget_sources(sorted(gone_unread | held & unread))
    store.forget_notes(_old_notes(noted[is_note], sources, to_do, set(known["source_sha256"])))
    return to_do, sorted(set(known["source"]) - present)


def _old_notes(
    notes: pd.DataFrame, sources: Sequence[SourceFile], to_do: Sequence[SourceFile], held: set[str]
) -> list[str]:
    """Recordings of which something is noted, and whose source is read again, or is gone and left nothing ``held``."""
    present, unread = ({source.recording_id for source in group} for group in (sources, to_do))
    is_gone = ~notes["subject"].isin(present) & ~notes["source_sha256"].isin(held)
    return sorted(set(notes.loc[is_gone | notes["subject"].isin(unread), "subject"]))


def _n_jobs(sources: Sequence[SourceFile], cohort: Cohort, n_jobs: int) -> int:
    is_little = len(sources) < _FEW_FILES and sum(source_bytes(source, cohort) for source in sources) < _FEW_BYTES
    return 1 if is_little else n_jobs


def add_files(
    store: CohortStore, cohort: Cohort, to_do: Sequence[SourceFile], pool: Workers, progress: Progress = silent
) -> None:
    """Read files into a store, and what is wrong with them: whatever they hold, it is never an error."""
    batch: list[FileRows] = []
    held = n_done = 0
    try:
        for n_sources, rows in _rows(cohort, to_do, pool):
            batch.append(rows)
            held += rows.n_bytes
            n_done += n_sources
            if held >= _COMMIT_BYTES:
                # Emptied first: interrupted half way, a batch is read again, where committing it again would double it.
                full, batch, held = batch, [], 0
                _commit(store, full)
            progress(n_done, len(to_do))
    finally:  # After Ctrl-C too: what was read is kept, and the next run goes on from there.
        _commit(store, batch)


def _rows(cohort: Cohort, to_do: Sequence[SourceFile], pool: Workers) -> Iterator[tuple[int, FileRows]]:
    """Rows of all sources, and how many of them are finished with these: long ones come last."""
    long: list[LongSource] = []
    for task, done in _run(do_task, plan(to_do, cohort, n_workers=pool.n_workers), pool):
        rows = _failing_rows(task.sources[0], cohort) if isinstance(done, Died) else done
        long += rows.long
        yield len(task.sources) - len(rows.long), rows
    for source in long:
        yield from _rows_of_long(source, cohort, pool)


def _run(
    function: Callable[[FileTask], Rows], tasks: Sequence[FileTask], pool: Workers
) -> Iterator[tuple[FileTask, Rows | Died]]:
    """Rows of each task; where a process was killed, of each of its sources alone, to find the failing file."""
    candidates: list[FileTask] = []
    for task, rows in zip(tasks, pool.run_surviving(function, tasks), strict=True):
        if isinstance(rows, Died):
            candidates += [FileTask(task.cohort, (source,)) for source in task.sources]
        else:
            yield task, rows
    yield from zip(candidates, pool.run_alone(function, candidates), strict=True)


def _rows_of_long(long: LongSource, cohort: Cohort, pool: Workers) -> Iterator[tuple[int, FileRows]]:
    """Rows of all intervals; or, where one cannot be read, of some of them, and why: the store drops such a source."""
    tasks = plan_long(long, cohort)
    has_failed = False
    for number, done in enumerate(pool.run_surviving(do_task, tasks), start=1):
        rows = _failing_rows(long.source, cohort) if isinstance(done, Died) else done
        yield int(number == len(tasks)), FileRows() if has_failed else rows
        has_failed = has_failed or bool(rows.rejects)


def _failing_file(source: SourceFile, cohort: Cohort) -> Reject:
    error = ReadError(
        source.path,
        "the process that read this file was killed, by a fault that the file sets off in a library or for want of "
        "memory. Copy the file again from its source; if it is sound, give the machine more memory, or ingest with "
        "fewer --jobs.",
    )
    return file_reject(source, error, cohort)


def _failing_rows(source: SourceFile, cohort: Cohort) -> FileRows:
    return FileRows(rejects=[(_failing_file(source, cohort), source_sha256(source, cohort))])


def _commit(store: CohortStore, batch: Sequence[FileRows]) -> None:
    store.append(
        [recording for rows in batch for recording in rows.recordings],
        concatenate(rows.segments for rows in batch),
        sourced_rejects_frame("files", (reject for rows in batch for reject in rows.rejects)),
    )


# --- after all files: what only the whole cohort shows ---------------------------------------------------------


def split_joined(
    store: CohortStore, cohort: Cohort, sources: Sequence[SourceFile], others: pd.DataFrame | None = None
) -> None:
    """Split recordings that are a whole multiple of the length that nearly all others have.

    ``sources`` are those whose recordings may be split; ``others`` (``source``, ``duration_s``, ``start_s``) are
    recordings that are not in the store and count for the typical length.
    """
    by_name = {source.relative: source for source in sources}
    recordings = store.recordings(["source", "duration_s", "start_s"])
    if others is not None and len(others) and len(recordings):
        recordings = pd.concat([recordings, others], ignore_index=True)
    joined = find_joined(recordings)
    names = [name for name in dict.fromkeys(joined["source"]) if name in by_name]
    if not names:
        return
    typical_s = float(recordings["duration_s"].mode().iloc[0])
    rows = do_task(FileTask(cohort, tuple(by_name[name] for name in names), split_s=typical_s))
    noted = [(joined_reject(name), source_sha256(by_name[name], cohort)) for name in names]
    store.forget_sources(names)
    store.forget_notes([by_name[name].recording_id for name in names])
    _commit(store, [rows, FileRows(rejects=noted)])


# --- check: the same complaints, without filtering, assessing or storing a signal --------------------------------


@dataclass(frozen=True)
class CheckSummary:
    """What ``ingest`` would read and reject."""

    n_files: int
    n_recordings: int
    n_patients: int
    rejects: pd.DataFrame = field(repr=False)


def check_cohort(cohort_file: Path, *, n_jobs: int = -1, progress: Progress = silent) -> CheckSummary:
    """Read a cohort's description, clinical table and raw files, and report what is wrong with each.

    Raises ConfigError as :func:`ingest`.
    """
    cohort, root, names = _open_cohort(cohort_file)
    sources, escaped = _find_sources(cohort, cohort_file, root, names)
    clinical = clinical_table(cohort, root, names)
    rows: list[dict[str, object]] = []
    complaints: list[Reject] = []
    n_done = 0
    with workers(_n_jobs(sources, cohort, n_jobs)) as pool:
        for task, read in _run(look, plan(sources, cohort, n_workers=pool.n_workers), pool):
            if isinstance(read, Died):
                complaints.append(_failing_file(task.sources[0], cohort))
            else:
                rows += read[0]
                complaints += read[1]
            n_done += len(task.sources)
            progress(n_done, len(sources))
    recordings = pd.DataFrame(rows, columns=list(SIGNAL_COLUMNS))
    stages = {
        "folder": escaped,
        "files": complaints,
        "joined": [joined_reject(source) for source in dict.fromkeys(find_joined(recordings)["source"])],
        "vitals": vital_rejects(cohort),
        "duplicates": find_duplicates(recordings),
        "clinical": clinical_rejects(
            clinical, {source.patient_id for source in sources}, names.originals() if names else None
        ),
    }
    return CheckSummary(
        n_files=len(sources),
        n_recordings=len(recordings),
        n_patients=recordings["patient_id"].nunique(),
        rejects=pd.concat([rejects_frame(stage, rejects) for stage, rejects in stages.items()], ignore_index=True),
    )


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
