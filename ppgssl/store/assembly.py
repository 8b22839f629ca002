"""From the stores of a study's cohorts to what its models see: samples, and accepted segments as indices into them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import Segmentation
from ppgssl.core.config.study import InputChannel, Inputs
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.reasons import Reason
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.store.memory import samples_budget
from ppgssl.store.row_groups import Described, RowGroup, row_groups
from ppgssl.store.samples import SamplesFile, Segments, segment_levels, write_samples
from ppgssl.store.segmenting import concatenate, ensure_grid, is_accepted
from ppgssl.store.tables import CohortStore


@dataclass(frozen=True, kw_only=True)
class StudySegments(Segments):
    """All accepted segments of a study's cohorts, ready to be gathered by index.

    The samples are the recordings of all cohorts, one after another, at the study's rate.

    Attributes
    ----------
    table : DataFrame, one row a segment
        ``cohort``, ``patient`` (``cohort/patient_id``), ``recording_id``, ``heart_rate_bpm``.
    decisions : DataFrame, one row a segment of either kind
        ``cohort``, ``recording_id``, ``patient``, ``start_s``, ``accepted``, ``defect``, ``sqi``.
    acquisition : DataFrame, one row a recording and channel
        ``cohort``, ``patient``, ``channel``, ``amplitude``, ``level`` of the raw signal: were patients recorded
        differently?
    channel_of : mapping of cohort to the cohort's channels that fill the inputs, in order
        None where the cohort has no channel for an optional input.
    """

    table: pd.DataFrame = field(repr=False)
    fs_hz: float
    decisions: pd.DataFrame = field(repr=False)
    acquisition: pd.DataFrame = field(repr=False)
    channel_of: Mapping[str, tuple[str | None, ...]]

    def channels_of(self, cohort: str) -> list[str]:
        """The channels of a cohort that fill inputs, each once."""
        return _present(self.channel_of[cohort])

    @property
    def patient_code(self) -> IntArray:
        """A number for the patient of each segment."""
        return pd.factorize(self.table["patient"])[0].astype(np.int64)

    @property
    def recording_code(self) -> IntArray:
        """A number for the recording of each segment."""
        return self.table.groupby(["cohort", "recording_id"], sort=False).ngroup().to_numpy(dtype=np.int64)

    def recordings(self, patients: Sequence[str]) -> Iterator[tuple[str, FloatArray]]:
        """Patient and samples of each recording of some patients, from its first accepted segment to its last.

        Samples, float64, have the shape (n_channels, n_samples); NaN where they are unusable, where no accepted segment
        is, and in a channel that the recording lacks.
        """
        owner, code = self.table["patient"].to_numpy(), self.recording_code
        rows = np.flatnonzero(np.isin(owner, list(patients)))
        rows = rows[np.argsort(code[rows], kind="stable")]
        for of_recording in np.split(rows, np.flatnonzero(np.diff(code[rows])) + 1) if len(rows) else []:
            starts = self.start[of_recording]
            first = starts.min()
            samples = self.interval(first, starts.max() + self.length).astype(np.float64)
            is_accepted = np.zeros(samples.shape[1], dtype=bool)
            for start in starts - first:
                is_accepted[start : start + self.length] = True
            yield owner[of_recording[0]], np.where(is_accepted & (samples != 0), samples, np.nan)

    def only(self, is_kept: BoolArray) -> StudySegments:
        """These segments alone; ``decisions`` and ``acquisition`` stay as they are."""
        return replace(
            self,
            start=self.start[is_kept],
            is_present=self.is_present[is_kept],
            baseline=self.baseline[is_kept],
            table=self.table[is_kept].reset_index(drop=True),
        )


def assemble(stores: Sequence[CohortStore], inputs: Inputs, folder: Path | None = None) -> StudySegments:
    """Gather the segments of several stores at one rate and length.

    The first store is the labelled cohort. Recordings that ingest found to be duplicates are left out, and so are those
    of later stores whose signals an earlier store holds too. Segments are cut now where a store does not hold the
    study's length and step yet. Samples are held in memory if they fit into ``inputs.memory_gb``, see
    :func:`ppgssl.store.memory.samples_budget`. Otherwise they are written to a file once, in ``folder`` (by default
    that of the labelled cohort's store), and segments are read from it; these are the same.

    Raises
    ------
    ConfigError
        If a cohort has none of the channels that may fill an input that is not optional, or fills no input at all.
    StoreError
        If no segment of any cohort is accepted.
    """
    shared = shared_recordings(stores)
    sources = [_source(store, inputs, shared[store.cohort.name]) for store in stores]
    parts = [_scanned(source) for source in sources]
    table = concatenate(part.table for part in parts)
    if table.empty:
        raise StoreError(
            f"no segment of {inputs.segment_s:g} s is accepted in any cohort: the signals are too short or too poor. "
            "Look at `inputs.segment_s` and `inputs.min_sqi` in the study, and at the segments tables of the stores."
        )
    shape = len(inputs.channels), sum(part.n_samples for part in parts)
    digest = hashlib.sha256(b"".join(digest for part in parts for digest in part.recordings["digest"])).hexdigest()
    located = _located(parts)
    if 4 * shape[0] * shape[1] > samples_budget(inputs.memory_gb):
        file = (folder or stores[0].folder) / "samples" / f"{digest}.f32"
        samples: FloatArray | SamplesFile = write_samples(file, shape, located)
    else:
        samples = np.empty(shape, dtype=np.float32)
        for first, recording in located:
            samples[:, first : first + recording.shape[1]] = recording
    shifts = np.cumsum([0, *(part.n_samples for part in parts)])
    has = [[name is not None for name in source.channels] for source in sources]
    return StudySegments(
        samples=samples,
        start=np.concatenate([part.start + shift for part, shift in zip(parts, shifts[:-1], strict=True)]),
        length=inputs.segment_samples,
        is_present=np.repeat(np.array(has), [len(part.start) for part in parts], axis=0),
        baseline=np.concatenate([part.baseline for part in parts]),
        samples_sha256=digest,
        table=table,
        fs_hz=inputs.fs_hz,
        decisions=concatenate(part.decisions for part in parts),
        acquisition=concatenate(part.acquisition for part in parts),
        channel_of={source.cohort: source.channels for source in sources},
    )


def _located(parts: Sequence[_Part]) -> Iterator[tuple[int, FloatArray]]:
    """First sample of each recording in the study's numbering, and its samples; each block is read once."""
    shift = 0
    for part in parts:
        sizes = part.recordings["n_samples"].to_numpy(dtype=np.int64)
        first, within = shift + np.cumsum(sizes) - sizes, part.recordings["within"].to_numpy()
        block = part.recordings["block"].to_numpy()
        for number, group in enumerate(part.blocks):
            samples, _ = group.samples()
            rows = np.flatnonzero(block == number)
            if samples.shape[1] != sizes[rows].sum():
                raise StoreError(f"{group.file} has changed meanwhile: run the same command again")
            for row in rows:
                yield int(first[row]), samples[:, within[row] : within[row] + sizes[row]]
        shift += part.n_samples


def choose_channels(store: CohortStore, wanted: Sequence[InputChannel]) -> tuple[str | None, ...]:
    """The cohort's channel for each input: the first of ``any_of`` that it has, None where there is none for an
    optional input.

    A ``ConfigError`` is raised if it has none for an input that is not optional, or for no input at all.
    """
    chosen = [next((name for name in channel.any_of if name in store.channels), None) for channel in wanted]
    has = f"it has {', '.join(store.channels)}"
    for channel, name in zip(wanted, chosen, strict=True):
        if name is None and not channel.optional:
            raise ConfigError(
                f"cohort {store.cohort.name!r} has no channel for the input {channel.name!r}: {has}, and `any_of` "
                f"lists {', '.join(channel.any_of)}. Add one of its channels there, or set `optional: true` for this "
                "input: it is then all zeros in this cohort"
            )
    if not _present(chosen):
        inputs = ", ".join(f"{channel.name} ({' or '.join(channel.any_of)})" for channel in wanted)
        raise ConfigError(
            f"cohort {store.cohort.name!r} has no channel for any input, and needs one though all are optional: {has}, "
            f"and the inputs are {inputs}. Add one of its channels to an `any_of`, or leave the cohort out"
        )
    return tuple(chosen)


def patient_key(cohort: str, patient_id: str) -> str:
    """The name of a patient in a study: ids are unique in a cohort alone."""
    return f"{cohort}/{patient_id}"


def shared_recordings(stores: Sequence[CohortStore]) -> dict[str, set[str]]:
    """For each cohort, its recordings whose raw signals an earlier cohort holds under some patient, too."""
    seen: set[str] = set()
    shared = {}
    for store in stores:
        recordings = store.recordings(["recording_id", "signal_sha256"])
        shared[store.cohort.name] = set(recordings.loc[recordings["signal_sha256"].isin(seen), "recording_id"])
        seen |= set(recordings["signal_sha256"]) - {""}  # that of recordings in which nothing varies
    return shared


@dataclass(frozen=True)
class _Source:
    """A store, and what of it the study uses."""

    store: CohortStore
    inputs: Inputs
    channels: tuple[str | None, ...]
    rule: Segmentation
    recordings: set[str]

    @property
    def cohort(self) -> str:
        return self.store.cohort.name


@dataclass(frozen=True)
class _Part:
    """What one cohort adds; its samples are counted from 0.

    ``recordings``, sorted: ``recording_id``, ``n_samples``, ``digest``, ``block`` that holds it, first sample
    ``within`` the block.
    """

    recordings: pd.DataFrame
    blocks: list[RowGroup]
    table: pd.DataFrame
    start: IntArray
    baseline: FloatArray
    decisions: pd.DataFrame
    acquisition: pd.DataFrame

    @property
    def n_samples(self) -> int:
        return int(self.recordings["n_samples"].sum())


def _source(store: CohortStore, inputs: Inputs, shared: set[str]) -> _Source:
    channels = choose_channels(store, inputs.channels)
    rule = store.cohort.segments.model_copy(
        update={"segment_s": inputs.segment_s, "step_s": inputs.step_s, "min_sqi": inputs.min_sqi}
    )
    ensure_grid(store, rule)
    excluded = shared | set(store.rejects().query("stage == 'duplicates'")["subject"])
    return _Source(store, inputs, channels, rule, set(store.recordings(["recording_id"])["recording_id"]) - excluded)


class _Scan:
    """What one pass over a cohort's samples finds, a block in memory at a time."""

    def __init__(self, source: _Source, segments: pd.DataFrame) -> None:
        self._source = source
        self._start_s = segments["start_s"].to_numpy()
        self._segments_of = segments.groupby("recording_id").indices
        self._recordings: list[dict[str, object]] = []
        self._acquisition: list[dict[str, object]] = []
        self.baseline = np.full((len(segments), len(source.channels)), np.nan, dtype=np.float32)

    def add(self, block: int, group: RowGroup) -> None:
        samples, sizes, described = group.scan()
        for row, (name, end, size) in enumerate(zip(described.recording_id, np.cumsum(sizes), sizes, strict=True)):
            within = int(end - size)
            digest = hashlib.sha256(np.ascontiguousarray(samples[:, within:end]).data).digest()
            self._recordings.append(dict(zip(_RECORDINGS, (name, int(size), digest, block, within), strict=True)))
            self._acquisition += _acquisition(self._source, described, row)
            if name in self._segments_of:
                self._add_baseline(np.asarray(self._segments_of[name]), described, row)

    def _add_baseline(self, segments: IntArray, described: Described, row: int) -> None:
        for column, channel in enumerate(self._source.channels):
            if channel is not None:
                seconds = described.baseline[channel][row]
                starts_s = self._start_s[segments]
                self.baseline[segments, column] = segment_levels(seconds, starts_s, self._source.inputs.segment_s)

    @property
    def recordings(self) -> pd.DataFrame:
        return _sorted(self._recordings, _RECORDINGS)

    @property
    def acquisition(self) -> pd.DataFrame:
        return _sorted(self._acquisition, ["recording_id", *_ACQUISITION])[_ACQUISITION]


_RECORDINGS = ["recording_id", "n_samples", "digest", "block", "within"]
_ACQUISITION = ["cohort", "patient", "channel", "amplitude", "level"]


def _scanned(source: _Source) -> _Part:
    inputs = source.inputs
    segments = source.store.segments(inputs.segment_s, inputs.step_s)
    segments = segments[segments["recording_id"].isin(source.recordings)].reset_index(drop=True)
    scan = _Scan(source, segments)
    blocks = row_groups(source.store, source.recordings, source.channels, inputs.fs_hz)
    for number, block in enumerate(blocks):
        scan.add(number, block)
    recordings = scan.recordings
    start, fits = _starts(segments, recordings, inputs)
    segments, start = segments[fits], start[fits]
    decisions = _decisions(segments, source).reset_index(drop=True)
    kept = decisions["accepted"].to_numpy()
    return _Part(
        recordings=recordings,
        blocks=blocks,
        table=decisions.loc[kept, ["cohort", "patient", "recording_id", "heart_rate_bpm"]].reset_index(drop=True),
        start=start[kept],
        baseline=scan.baseline[fits][kept],
        decisions=decisions,
        acquisition=scan.acquisition,
    )


def _sorted(rows: Sequence[dict[str, object]], columns: Sequence[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.sort_values("recording_id", kind="stable", ignore_index=True)


def _starts(segments: pd.DataFrame, recordings: pd.DataFrame, inputs: Inputs) -> tuple[IntArray, BoolArray]:
    """First sample of each segment at the study's rate, and whether it fits whole into its recording."""
    within = np.round(segments["start_s"].to_numpy() * inputs.fs_hz).astype(np.int64)
    sizes = recordings["n_samples"].to_numpy(dtype=np.int64)
    recording = pd.Index(recordings["recording_id"]).get_indexer(pd.Index(segments["recording_id"]))
    start = (np.cumsum(sizes) - sizes)[recording] + within
    # At a lower rate, the end of a recording may round to a sample less than that of its last segment.
    return start, np.asarray(within + inputs.segment_samples <= sizes[recording])


def _decisions(segments: pd.DataFrame, source: _Source) -> pd.DataFrame:
    channels = _present(source.channels)
    accepted = is_accepted(segments, channels, source.rule).all(axis=1)
    quality = segments[[f"sqi_{name}" for name in channels]].min(axis=1, skipna=False)
    defect = pd.Series("", index=segments.index, dtype=object)
    for name in channels:
        defect = defect.where(defect != "", segments[f"defect_{name}"])
    defect = defect.where((defect != "") | accepted, Reason.LOW_SQI.value)
    return pd.DataFrame(
        {
            "cohort": source.cohort,
            "recording_id": segments["recording_id"],
            "patient": [patient_key(source.cohort, name) for name in segments["patient_id"]],
            "start_s": segments["start_s"],
            "accepted": accepted.astype(bool),
            "defect": defect,
            "sqi": quality,
            "heart_rate_bpm": segments["heart_rate_bpm"],
        }
    )


def _acquisition(source: _Source, described: Described, row: int) -> list[dict[str, object]]:
    return [
        {
            "recording_id": described.recording_id[row],
            "cohort": source.cohort,
            "patient": patient_key(source.cohort, described.patient_id[row]),
            "channel": channel,
            "amplitude": described.amplitude[channel][row],
            "level": _median(described.baseline[channel][row]),
        }
        for channel in _present(source.channels)
    ]


def _present(channels: Iterable[str | None]) -> list[str]:
    return [name for name in dict.fromkeys(channels) if name is not None]


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")
