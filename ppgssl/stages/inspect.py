"""What is in a store: a summary for the terminal, and a page to look through recordings, segments and vitals."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.parallel import Progress, silent
from ppgssl.core.provenance import read_run
from ppgssl.core.reasons import Reason
from ppgssl.core.records import FloatArray, IntArray
from ppgssl.report.browser_page import PageContent, write_page
from ppgssl.report.text.terminal import store_facts as store_facts
from ppgssl.report.text.terminal import store_tables as store_tables
from ppgssl.stages.inspect_encoding import ABSENT, encode, encode_excerpt, excerpts, percent_codes, quantise, rounded
from ppgssl.store.processing import band_hz
from ppgssl.store.rows import StoredRecording
from ppgssl.store.segmenting import is_accepted
from ppgssl.store.tables import CohortStore

PAGE_FILE = "inspect.html"

# Recordings up to twice this length are embedded whole, of longer ones the worst and the best interval of this length.
_EXCERPT_S = 60.0
# Samples a second on the page: this, or more where the pass band needs it.
_PAGE_HZ = 50.0
_SAMPLES_PER_PERIOD = 4
# What the page may weigh, in bytes, with its table of recordings and its samples.
_PAGE_BYTES = 17_000_000
_ROW_BYTES, _CELL_BYTES = 120, 8
_NOT_VITALS = {"segment_s", "step_s", "start_s"}

Summary = dict[str, Any]


@dataclass(frozen=True)
class Inspection:
    """Summary (ready for JSON; undefined values are None), page written, and recordings whose samples are on it."""

    summary: Summary
    page: Path
    n_drawn: int


@dataclass(frozen=True)
class _Segments:
    """Segments of the cohort's own grid, sorted by recording and start.

    Attributes
    ----------
    frame : DataFrame, index 0..n_segments - 1
        As stored; ``vitals`` are columns of it.
    reasons : DataFrame
        Of each channel: why a segment was rejected; empty if it was not, None where the recording lacks the channel.
    quality : float array, shape (n_segments,)
        SQI of the best channel, 0 for a defective one; NaN in a store without quality.
    by_channel : mapping of channel to float array, shape (n_segments,)
        The same of each channel; NaN where the recording lacks it.
    """

    frame: pd.DataFrame = field(repr=False)
    reasons: pd.DataFrame = field(repr=False)
    quality: FloatArray = field(repr=False)
    by_channel: Mapping[str, FloatArray] = field(repr=False)
    vitals: list[str]


def inspect_store(
    folder: Path, page: Path | None = None, *, n_recordings: int = 200, progress: Progress = silent
) -> Inspection:
    """Summarise a store, and write the page that shows it.

    Parameters
    ----------
    page
        HTML file to write; ``inspect.html`` in the store by default.
    n_recordings
        Most recordings whose samples go onto the page, evenly over all ranks of quality; fewer where the page would
        outgrow about 20 MB.

    Raises
    ------
    StoreError
        If the folder holds no store.
    """
    store = CohortStore(folder)
    recordings = store.recordings()
    segments = _segments(store)
    summary = _summarise(store, recordings, segments)
    table = _table(recordings, segments, store)
    chosen = _choose(recordings, segments, table, store.cohort, n_recordings)
    page = page if page is not None else folder / PAGE_FILE
    content = PageContent(
        summary=summary,
        settings=_settings(store, n_recordings),
        table=table,
        drawn=_drawn(store, recordings, segments, chosen, progress),
    )
    write_page(content, page)
    return Inspection(summary, page, len(chosen))


# --- quality of segments ------------------------------------------------------------------------------------------


def _segments(store: CohortStore) -> _Segments:
    grid = store.cohort.segments
    frame = store.segments(grid.segment_s, grid.step_s)
    by_channel = {name: _quality(frame, name) for name in store.channels}
    has_sqi = any(np.isfinite(frame[f"sqi_{name}"]).any() for name in store.channels)
    quality = np.nan_to_num(np.stack(list(by_channel.values()))).max(axis=0)
    if not has_sqi:
        quality = np.full(len(frame), np.nan)
        by_channel = dict.fromkeys(by_channel, quality)
    # Every number that is neither position nor quality: columns come with the cohort.
    numbers = [name for name in frame.columns if pd.api.types.is_float_dtype(frame[name])]
    vitals = [name for name in numbers if name not in _NOT_VITALS and not name.startswith("sqi_")]
    return _Segments(frame, _reasons(frame, store), quality, by_channel, vitals)


def _reasons(frame: pd.DataFrame, store: CohortStore) -> pd.DataFrame:
    rule = store.cohort.segments
    is_good = is_accepted(frame, store.channels, rule)
    below = (Reason.LOW_SQI if rule.accept == "sqi" else Reason.LOW_DEVICE_SQI).value
    reasons = {}
    for name in store.channels:
        defect = frame[f"defect_{name}"].astype(object)
        reasons[name] = defect.where(defect.notna(), None).mask((defect == "") & ~is_good[name], below)
    return pd.DataFrame(reasons, index=frame.index)


def _quality(frame: pd.DataFrame, channel: str) -> FloatArray:
    defect = frame[f"defect_{channel}"]
    sound = frame[f"sqi_{channel}"].astype(np.float64).fillna(0.0).where(defect == "", 0.0)
    return sound.where(defect.notna()).to_numpy()


# --- summary ---------------------------------------------------------------------------------------------------


def _summarise(store: CohortStore, recordings: pd.DataFrame, segments: _Segments) -> Summary:
    """Counts, distributions and reasons, ready for JSON. Vitals are those of accepted segments."""
    by_reason = store.rejects().groupby("reason").size()
    accepted = segments.frame["accepted"].astype(bool)
    return {
        "cohort": store.cohort.name,
        "title": store.cohort.title,
        "store": str(store.folder),
        "ingested_utc": (read_run(store.folder) or {}).get("started_utc"),
        "recordings": len(recordings),
        "patients": int(recordings["patient_id"].nunique()),
        # None where the file names have no visits.
        "visits": len(recordings[["patient_id", "visit"]].drop_duplicates()) if recordings["visit"].any() else None,
        "hours": float(recordings["duration_s"].sum() / 3600),
        "patients_in_table": len(store.patients()),
        "fs_hz": store.cohort.signal.fs_hz,
        "source_fs_hz": _rates(recordings),
        "segments": _grids(store),
        "accepted": int(accepted.sum()),
        "channels": _channels(store, segments),
        "vitals": {name: _distribution(segments.frame.loc[accepted, name]) for name in segments.vitals},
        "rejects": [
            {"unit": reason.unit, "reason": reason.value, "text": reason.text, "n": int(n)}
            for reason, n in ((Reason(str(code)), n) for code, n in by_reason.items())
        ],
    }


def _rates(recordings: pd.DataFrame) -> list[dict[str, float]]:
    counts = recordings["source_fs_hz"].astype(float).value_counts().sort_index()
    return [{"fs_hz": float(str(rate)), "recordings": int(n)} for rate, n in counts.items()]


def _grids(store: CohortStore) -> list[dict[str, float]]:
    """Every length and step that recordings were cut by, the cohort's own first."""
    own = (store.cohort.segments.segment_s, store.cohort.segments.step_s)
    grids = {own: (0, 0)}
    if DeltaTable.is_deltatable(str(store.folder / "segments")):
        columns = ["segment_s", "step_s", "accepted", "recording_id"]
        table = DeltaTable(str(store.folder / "segments")).to_pyarrow_table(columns=columns)
        held = store.recordings(["recording_id"])["recording_id"].tolist()
        is_held = pc.is_in(table["recording_id"], value_set=pa.array(held, type=pa.string()))
        groups = table.filter(is_held).group_by(["segment_s", "step_s"])
        for row in groups.aggregate([("accepted", "count"), ("accepted", "sum")]).to_pylist():
            grids[row["segment_s"], row["step_s"]] = (row["accepted_count"], row["accepted_sum"] or 0)
    return [
        {"segment_s": segment_s, "step_s": step_s, "segments": n, "accepted": n_accepted}
        for (segment_s, step_s), (n, n_accepted) in sorted(grids.items(), key=lambda item: (item[0] != own, item[0]))
    ]


def _channels(store: CohortStore, segments: _Segments) -> list[dict[str, Any]]:
    held = store.recordings([f"{kind}_{name}" for name in store.channels for kind in ("amplitude", "inverted")])
    rows = []
    for name in store.channels:
        reasons = segments.reasons[name].dropna()
        counts = reasons[reasons != ""].value_counts()
        values = segments.frame[f"sqi_{name}"].astype(float)
        rows.append(
            {
                "channel": name,
                "unit": store.cohort.signals.channels[name].unit,
                "recordings": int(held[f"amplitude_{name}"].notna().sum()),
                "inverted": int(held[f"inverted_{name}"].astype(bool).sum()),
                "segments": len(reasons),
                "accepted": int((reasons == "").sum()),
                "reasons": {str(reason): int(n) for reason, n in counts.items()},
                "sqi": _distribution(values[segments.reasons[name].notna()])
                | {"histogram": np.histogram(values.dropna(), bins=10, range=(0, 1))[0].tolist()},
            }
        )
    return rows


def _distribution(values: pd.Series) -> dict[str, float | int | None]:
    known = values.dropna().to_numpy(dtype=np.float64)
    low, median, high = np.percentile(known, [5, 50, 95]).tolist() if len(known) else (None, None, None)
    missing = 1 - len(known) / len(values) if len(values) else None
    return {"n": len(known), "missing": missing, "p5": low, "median": median, "p95": high}


# --- the page: all recordings in a table -----------------------------------------------------------------------


def _settings(store: CohortStore, n_recordings: int) -> dict[str, Any]:
    grid = store.cohort.segments
    return {
        "segment_s": grid.segment_s,
        "step_s": grid.step_s,
        "accept": grid.accept,
        "min_sqi": grid.min_sqi,
        "min_device_sqi": grid.min_device_sqi,
        "excerpt_s": _excerpt_s(store.cohort),
        "n_asked": n_recordings,
        "channels": [
            {
                "name": name,
                "unit": store.cohort.signals.channels[name].unit,
                "fs_hz": store.cohort.signal.fs_hz / _every(name, store.cohort),
            }
            for name in store.channels
        ],
    }


def _table(recordings: pd.DataFrame, segments: _Segments, store: CohortStore) -> dict[str, Any]:
    """A value of each recording in each list, in the order of ``recordings``."""
    names, owner = recordings["recording_id"], segments.frame["recording_id"]
    accepted = segments.frame["accepted"].astype(bool)
    # A segment counts once for each reason that any channel has.
    rejected = segments.reasons[~accepted].melt(ignore_index=False)["value"].dropna().reset_index().drop_duplicates()
    overall = rejected.set_index("index")["value"]
    scopes = {"": _scope(names, owner, segments.quality, accepted.astype(float), overall)}
    for name in store.channels:
        reasons = segments.reasons[name]
        is_good = (reasons == "").astype(float).where(reasons.notna())
        scopes[name] = _scope(names, owner, segments.by_channel[name], is_good, reasons.dropna())
    inverted = store.recordings([f"inverted_{name}" for name in store.channels])
    medians = segments.frame[accepted].groupby("recording_id")[segments.vitals].median().reindex(names)
    return {
        "recording": names.tolist(),
        "patient": recordings["patient_id"].tolist(),
        "visit": recordings["visit"].tolist(),
        "start_s": rounded(recordings["start_s"], 2),
        "duration_s": rounded(recordings["duration_s"], 2),
        "fs_hz": rounded(recordings["source_fs_hz"], 3),
        "inverted": {name: inverted[f"inverted_{name}"].astype(bool).tolist() for name in store.channels},
        "note": _notes(names, store.rejects()),
        "scopes": scopes,
        "vitals": {name: rounded(medians[name], 4) for name in segments.vitals if medians[name].notna().any()},
    }


def _scope(
    names: pd.Series, owner: pd.Series, quality: FloatArray, is_good: pd.Series, reasons: pd.Series
) -> dict[str, Any]:
    """Of each recording: mean quality, counts of segments (NaN of ``is_good`` do not count), and counts of reasons."""
    counts = is_good.groupby(owner).agg(["count", "sum"]).reindex(names, fill_value=0).astype(int)
    by_recording: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for name, reason in zip(owner.loc[reasons.index], reasons, strict=True):
        if reason:
            by_recording[name][reason] += 1
    return {
        "quality": rounded(pd.Series(quality, dtype=np.float64).groupby(owner).mean().reindex(names), 3),
        "n": counts["count"].tolist(),
        "accepted": counts["sum"].tolist(),
        "reasons": [dict(by_recording[name]) for name in names],
    }


def _notes(names: pd.Series, rejects: pd.DataFrame) -> list[str]:
    """What ingest noted of a recording, such as that it is a copy of another."""
    noted = rejects[rejects["unit"] == "recording"]
    texts = noted["reason"].map({reason: reason.text for reason in Reason}).groupby(noted["subject"]).agg("; ".join)
    return [str(texts.get(name, "")) for name in names]


# --- the page: recordings that are drawn -----------------------------------------------------------------------


def _choose(
    recordings: pd.DataFrame, segments: _Segments, table: Mapping[str, Any], cohort: Cohort, n_wanted: int
) -> IntArray:
    """Rows of recordings to draw: evenly over the ranks of quality, from the worst to the best, as many as fit."""
    ranked = _ranked(table)
    n_columns = len(table["vitals"]) + 5 * len(table["scopes"])
    room = _PAGE_BYTES - len(recordings) * (_ROW_BYTES + _CELL_BYTES * n_columns)
    n_segments = np.array(table["scopes"][""]["n"], dtype=np.int64)
    cost = _cost(recordings["duration_s"].to_numpy(dtype=np.float64), n_segments, len(segments.vitals), cohort)
    n = min(n_wanted, len(ranked))
    while n > 0:
        chosen = ranked[np.unique(np.linspace(0, len(ranked) - 1, n).round().astype(np.int64))]
        if cost[chosen].sum() <= room:
            return chosen
        n = min(n - 1, int(n * max(room, 0) / cost[chosen].sum()))
    return ranked[:0]


def _ranked(table: Mapping[str, Any]) -> IntArray:
    """Rows from the worst to the best: by mean SQI or, without any, by the proportion accepted; unknown last."""
    n, accepted, quality = (np.array(table["scopes"][""][key], dtype=float) for key in ("n", "accepted", "quality"))
    proportion = np.divide(accepted, n, out=np.full(len(n), np.nan), where=n > 0)
    return np.lexsort([np.arange(len(n)), proportion, quality])


def _cost(duration_s: FloatArray, n_segments: IntArray, n_vitals: int, cohort: Cohort) -> FloatArray:
    """Bytes that each recording takes on the page: base64 writes three bytes as four."""
    drawn_s = np.minimum(duration_s, 2 * _excerpt_s(cohort))
    channels = list(cohort.signals.channels)
    per_second = sum(2 * cohort.signal.fs_hz / _every(name, cohort) for name in channels)
    per_segment = 5 + 2 * len(channels) + 2 * n_vitals
    return np.asarray((drawn_s * per_second + n_segments * per_segment) * 4 / 3 + 400 * len(channels))


def _excerpt_s(cohort: Cohort) -> float:
    return max(_EXCERPT_S, cohort.segments.segment_s)


def _every(channel: str, cohort: Cohort) -> int:
    """Decimation factor of a channel. There is no aliasing: stored samples hold no frequency above their pass band."""
    fastest_hz = band_hz(channel, cohort)[1]
    return max(1, int(cohort.signal.fs_hz / max(_PAGE_HZ, _SAMPLES_PER_PERIOD * fastest_hz)))


def _drawn(
    store: CohortStore, recordings: pd.DataFrame, segments: _Segments, chosen: IntArray, progress: Progress
) -> dict[str, Any]:
    """Samples and segments of the chosen recordings, in the order chosen."""
    names = recordings["recording_id"].iloc[chosen].tolist()
    of_recording = segments.frame.groupby("recording_id").indices
    rows = {name: np.array(of_recording.get(name, []), dtype=np.int64) for name in names}
    waves: dict[str, Any] = {}
    if names:
        for number, recording in enumerate(store.iterate(store.channels), start=1):
            if recording.recording_id in rows:
                waves[recording.recording_id] = _waveforms(recording, segments, rows[recording.recording_id], store)
            progress(number, len(recordings))
    order = np.concatenate([np.zeros(0, dtype=np.int64), *rows.values()])
    return {
        "rows": [int(row) for row in chosen],
        "waveforms": [waves[name] for name in names],
        "n_segments": [len(rows[name]) for name in names],
        "segments": _encoded_segments(segments, order, store.channels),
    }


def _encoded_segments(segments: _Segments, order: IntArray, channels: Sequence[str]) -> dict[str, Any]:
    frame = segments.frame.loc[order]
    reasons = segments.reasons.loc[order]
    known = sorted({reason for name in channels for reason in reasons[name].dropna().unique()} - {""})
    codes = {reason: code for code, reason in enumerate(["", *known])}
    return {
        "reasons": ["", *known],
        "start_s": encode(frame["start_s"].to_numpy(), "<f4"),
        "accepted": encode(frame["accepted"].to_numpy(dtype=bool), "u1"),
        "sqi": {name: encode(percent_codes(frame[f"sqi_{name}"]), "u1") for name in channels},
        "reason": {name: encode(reasons[name].map(codes).fillna(ABSENT).to_numpy(), "u1") for name in channels},
        "vitals": {
            name: quantise(frame[name].to_numpy(dtype=np.float64))
            for name in segments.vitals
            if frame[name].notna().any()
        },
    }


def _waveforms(recording: StoredRecording, segments: _Segments, rows: IntArray, store: CohortStore) -> dict[str, Any]:
    """The excerpts of one recording, and of each channel its samples and defects in each excerpt."""
    starts = segments.frame.loc[rows, "start_s"].to_numpy(dtype=np.float64)
    quality = segments.quality[rows]
    if np.isnan(quality).any():
        quality = segments.frame.loc[rows, "accepted"].to_numpy(dtype=np.float64)
    intervals = excerpts(
        starts,
        quality,
        duration_s=recording.duration_s,
        segment_s=store.cohort.segments.segment_s,
        excerpt_s=_excerpt_s(store.cohort),
    )
    return {
        "excerpts": [[round(begin, 3), round(end, 3)] for begin, end in intervals],
        "channels": {
            name: [
                encode_excerpt(channel, interval, recording.fs_hz, _every(name, store.cohort)) for interval in intervals
            ]
            for name, channel in recording.channels.items()
        },
    }
