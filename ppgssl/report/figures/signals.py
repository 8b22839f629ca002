"""Figures of the signals, one function each; all return a matplotlib Figure as wide as the text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from ppgssl.core.records import FloatArray
from ppgssl.core.results.data import ChannelQuality, ExampleWaveform
from ppgssl.core.results.robustness import AcquisitionCheck
from ppgssl.core.results.study import Results
from ppgssl.report.figures.layout import grid, wrap
from ppgssl.report.figures.style import BLUE, GREY, INK, RED, drawing
from ppgssl.report.tables.study import DEFECT_LABELS, cohort_title

WAVEFORMS = 5
QUALITY_PANELS = 12
_HISTOGRAM_BINS = 25


def plot_acquisition(checks: Sequence[AcquisitionCheck]) -> Figure:
    """Distribution of raw-signal properties in patients with and without the event."""
    with drawing():
        figure, panels = grid(len(checks), min(len(checks), 2), 1.9)
        for axes, check in zip(panels, checks, strict=True):
            _plot_check(axes, check)
        handles = [Patch(facecolor=BLUE, alpha=0.35), Line2D([], [], color=RED, linewidth=1.4)]
        figure.legend(handles, ["without the event", "with the event"], loc="outside upper right", ncols=2)
    return figure


def _plot_check(axes: Axes, check: AcquisitionCheck) -> None:
    values, is_event = np.asarray(check.values, dtype=float), np.asarray(check.is_event, dtype=bool)
    is_finite = np.isfinite(values)
    values, is_event = values[is_finite], is_event[is_finite]
    axes.set_title(wrap(check.name, 34, 2), fontsize=8)
    if len(values) == 0:
        axes.text(0.5, 0.5, "no values", ha="center", va="center", transform=axes.transAxes)
        return
    edges = _edges(axes, values)
    looks: tuple[dict[str, Any], dict[str, Any]] = (
        {"histtype": "stepfilled", "color": BLUE, "alpha": 0.35},
        {"histtype": "step", "color": RED, "linewidth": 1.4},
    )
    for mask, look in zip((~is_event, is_event), looks, strict=True):
        if mask.any():
            axes.hist(values[mask], edges.tolist(), weights=np.full(mask.sum(), 100 / mask.sum()), **look)
    if check.threshold is not None:
        axes.axvline(check.threshold, color=INK, linestyle=(0, (3, 2)), linewidth=0.8)
    axes.set_ylabel("patients, %")


def _edges(axes: Axes, values: FloatArray) -> FloatArray:
    """Histogram edges: logarithmic where values span more than a factor of ten."""
    low, high = float(values.min()), float(values.max())
    if low > 0 and high > 10 * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        return np.geomspace(low, high, _HISTOGRAM_BINS + 1)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _HISTOGRAM_BINS + 1)


def plot_sqi(results: Results, rows: Sequence[ChannelQuality], min_sqi: float) -> Figure:
    """Histograms of the signal quality index, one panel a cohort and channel."""
    with drawing():
        figure, panels = grid(len(rows), len(rows) if len(rows) < 4 else 2 if len(rows) == 4 else 3, 1.35)
        for axes, row in zip(panels, rows, strict=True):
            counts = np.asarray(row.sqi_histogram, dtype=float)
            edges = np.linspace(0, 1, len(counts) + 1)
            colours = [BLUE if edge >= min_sqi - 1e-9 else GREY for edge in edges[:-1]]
            axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=colours, edgecolor="white", linewidth=0.4)
            axes.axvline(min_sqi, color=INK, linestyle=(0, (3, 2)), linewidth=0.8)
            axes.set_title(wrap(f"{row.channel}: {cohort_title(results, row.cohort)}", 30, 2), fontsize=8)
            axes.set_xlim(0, 1)
        figure.supxlabel("signal quality index", fontsize=8.5)
        figure.supylabel("segments", fontsize=8.5)
    return figure


def plot_waveforms(results: Results, examples: Sequence[ExampleWaveform]) -> Figure:
    """Recordings as the pipeline saw them: rejected intervals shaded, with the reason."""
    with drawing():
        figure, panels = grid(len(examples), 1, 1.22)
        for axes, example in zip(panels, examples, strict=True):
            _plot_waveform(axes, results, example)
        panels[-1].set_xlabel("time, s")
        handles = [Patch(facecolor=BLUE, alpha=0.10), Patch(facecolor=RED, alpha=0.22)]
        labels = ["in an accepted segment", "in rejected segments only"]
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure


def _plot_waveform(axes: Axes, results: Results, example: ExampleWaveform) -> None:
    samples = np.array(example.samples, dtype=float)  # null becomes NaN: the line breaks
    time_s = np.arange(len(samples)) / example.fs_hz
    for start_s, stop_s, is_accepted, reason in _intervals(example, len(samples) / example.fs_hz):
        colour, alpha = (BLUE, 0.10) if is_accepted else (RED, 0.22)
        axes.axvspan(start_s, stop_s, color=colour, alpha=alpha, linewidth=0)
        if not is_accepted:
            place: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 7.5, "color": "#8a3b00"}
            axes.text((start_s + stop_s) / 2, 0.98, reason, transform=axes.get_xaxis_transform(), **place)
    axes.plot(time_s, samples, color=INK, linewidth=0.6)
    low, high = _robust_limits(samples)
    axes.set_ylim(low, high + 0.22 * (high - low))  # room for the reason
    axes.set_xlim(0, max(len(samples) / example.fs_hz, 1e-3))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    name = f"{cohort_title(results, example.cohort)}, {example.recording_id}, {example.channel}"
    name = f"{name}. {example.caption}" if example.caption else name
    axes.set_title(wrap(name, 115, 2), fontsize=8, fontweight="normal")


def _robust_limits(samples: FloatArray) -> tuple[float, float]:
    """Limits that one spike cannot squeeze the pulses with."""
    finite = samples[np.isfinite(samples)]
    if len(finite) == 0:
        return -1.0, 1.0
    low, high = np.percentile(finite, [0.2, 99.8])
    margin = 0.08 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _intervals(example: ExampleWaveform, duration_s: float) -> list[tuple[float, float, bool, str]]:
    """Intervals with the same decision: overlapping segments accept what any of them accepts."""
    ends = [edge for mark in example.segments for edge in (mark.start_s, mark.start_s + mark.duration_s)]
    edges = sorted({0.0, duration_s, *ends})
    intervals: list[tuple[float, float, bool, str]] = []
    for start_s, stop_s in pairwise(edges):
        middle = (start_s + stop_s) / 2
        marks = [mark for mark in example.segments if mark.start_s <= middle <= mark.start_s + mark.duration_s]
        if not marks or start_s >= duration_s:
            continue
        is_accepted = any(mark.accepted for mark in marks)
        reasons = dict.fromkeys(DEFECT_LABELS.get(mark.defect, mark.defect or "Low SQI") for mark in marks)
        decision = (is_accepted, "" if is_accepted else " / ".join(reasons).lower().replace("sqi", "SQI"))
        if intervals and intervals[-1][1] == start_s and intervals[-1][2:] == decision:
            start_s = intervals.pop()[0]
        intervals.append((start_s, min(stop_s, duration_s), *decision))
    return intervals
