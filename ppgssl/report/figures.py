"""Figures of the report, one function each; all return a matplotlib Figure as wide as the text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter

from ppgssl.records import BoolArray, FloatArray
from ppgssl.report import rounding, style
from ppgssl.report.families import grouped, reference_arm
from ppgssl.report.style import BLUE, GREY, INK, ORANGE, PALE, RED, drawing, new_figure
from ppgssl.report.tables import DEFECT_LABELS, cohort_title
from ppgssl.results import (
    AcquisitionCheck,
    ArmResult,
    ChannelQuality,
    CurvePoint,
    ExampleWaveform,
    Interval,
    PretrainingRun,
    Results,
)

ROC_PANELS = 6
ROC_CURVES = 4
WAVEFORMS = 5
QUALITY_PANELS = 12
_HISTOGRAM_BINS = 25


def _wrap(text: str, width: int, lines: int = 3) -> str:
    """At most ``lines`` lines; what does not fit ends in an ellipsis (the tables hold the full text)."""
    wrapped = textwrap.wrap(text, width) or [""]
    if len(wrapped) > lines:
        wrapped[lines - 1 :] = [textwrap.shorten(" ".join(wrapped[lines - 1 :]), width, placeholder="…")]
    return "\n".join(wrapped)


def _grid(n_panels: int, n_columns: int, row_height_in: float) -> tuple[Figure, list[Axes]]:
    """A figure with ``n_panels`` axes in rows of ``n_columns``."""
    n_rows = -(-n_panels // n_columns)
    figure = new_figure(n_rows * row_height_in)
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for unused in axes[n_panels:]:
        unused.remove()
    return figure, list(axes[:n_panels])


# --- data ------------------------------------------------------------------------------------------------------


def plot_acquisition(checks: Sequence[AcquisitionCheck]) -> Figure:
    """Distribution of raw-signal properties in patients with and without the event."""
    with drawing():
        figure, panels = _grid(len(checks), min(len(checks), 2), 1.9)
        for axes, check in zip(panels, checks, strict=True):
            _plot_check(axes, check)
        handles = [Patch(facecolor=BLUE, alpha=0.35), Line2D([], [], color=RED, linewidth=1.4)]
        figure.legend(handles, ["without the event", "with the event"], loc="outside upper right", ncols=2)
    return figure


def _plot_check(axes: Axes, check: AcquisitionCheck) -> None:
    values, is_event = np.asarray(check.values, dtype=float), np.asarray(check.is_event, dtype=bool)
    is_finite = np.isfinite(values)
    values, is_event = values[is_finite], is_event[is_finite]
    axes.set_title(_wrap(check.name, 42, 2))
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
        figure, panels = _grid(len(rows), len(rows) if len(rows) < 4 else 2 if len(rows) == 4 else 3, 1.35)
        for axes, row in zip(panels, rows, strict=True):
            counts = np.asarray(row.sqi_histogram, dtype=float)
            edges = np.linspace(0, 1, len(counts) + 1)
            colours = [BLUE if edge >= min_sqi - 1e-9 else GREY for edge in edges[:-1]]
            axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=colours, edgecolor="white", linewidth=0.4)
            axes.axvline(min_sqi, color=INK, linestyle=(0, (3, 2)), linewidth=0.8)
            axes.set_title(_wrap(f"{cohort_title(results, row.cohort)}: {row.channel}", 34, 2), fontsize=8)
            axes.set_xlim(0, 1)
        figure.supxlabel("signal quality index", fontsize=8.5)
        figure.supylabel("segments", fontsize=8.5)
    return figure


def plot_waveforms(results: Results, examples: Sequence[ExampleWaveform]) -> Figure:
    """Recordings as the pipeline saw them: rejected stretches shaded, with the reason."""
    with drawing():
        figure, panels = _grid(len(examples), 1, 1.22)
        for axes, example in zip(panels, examples, strict=True):
            _plot_waveform(axes, results, example)
        panels[-1].set_xlabel("time, s")
        handles = [Patch(facecolor=BLUE, alpha=0.10), Patch(facecolor=RED, alpha=0.22)]
        figure.legend(
            handles, ["in an accepted segment", "in rejected segments only"], loc="outside upper right", ncols=2
        )
    return figure


def _plot_waveform(axes: Axes, results: Results, example: ExampleWaveform) -> None:
    samples = np.array(example.samples, dtype=float)  # null becomes NaN: the line breaks
    time_s = np.arange(len(samples)) / example.fs_hz
    for start_s, stop_s, is_accepted, reason in _verdicts(example, len(samples) / example.fs_hz):
        axes.axvspan(
            start_s, stop_s, color=BLUE if is_accepted else RED, alpha=0.10 if is_accepted else 0.22, linewidth=0
        )
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
    axes.set_title(
        _wrap(f"{name}. {example.caption}" if example.caption else name, 115, 2), fontsize=8, fontweight="normal"
    )


def _robust_limits(samples: FloatArray) -> tuple[float, float]:
    """Limits that one spike cannot squeeze the pulses with."""
    finite = samples[np.isfinite(samples)]
    if len(finite) == 0:
        return -1.0, 1.0
    low, high = np.percentile(finite, [0.2, 99.8])
    margin = 0.08 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _verdicts(example: ExampleWaveform, duration_s: float) -> list[tuple[float, float, bool, str]]:
    """Stretches of equal verdict: overlapping segments accept what any of them accepts."""
    edges = sorted(
        {0.0, duration_s, *(edge for mark in example.segments for edge in _span(mark.start_s, mark.duration_s))}
    )
    stretches: list[tuple[float, float, bool, str]] = []
    for start_s, stop_s in pairwise(edges):
        middle = (start_s + stop_s) / 2
        marks = [mark for mark in example.segments if mark.start_s <= middle <= mark.start_s + mark.duration_s]
        if not marks or start_s >= duration_s:
            continue
        is_accepted = any(mark.accepted for mark in marks)
        reasons = dict.fromkeys(DEFECT_LABELS.get(mark.defect, mark.defect or "Low SQI") for mark in marks)
        verdict = (is_accepted, "" if is_accepted else " / ".join(reasons).lower().replace("sqi", "SQI"))
        if stretches and stretches[-1][1] == start_s and stretches[-1][2:] == verdict:
            start_s = stretches.pop()[0]
        stretches.append((start_s, min(stop_s, duration_s), *verdict))
    return stretches


def _span(start_s: float, duration_s: float) -> tuple[float, float]:
    return start_s, start_s + duration_s


# --- pretraining -----------------------------------------------------------------------------------------------


def plot_curves(runs: Sequence[PretrainingRun]) -> Figure:
    """Losses over training steps, one thin line an encoder."""
    with drawing():
        figure, panels = _grid(len(runs), min(len(runs), 2), 1.95)
        for axes, run in zip(panels, runs, strict=True):
            for curve in run.curves:
                steps = [point.step for point in curve]
                for losses, colour in (
                    ([point.train_loss for point in curve], ORANGE),
                    ([point.validation_loss for point in curve], BLUE),
                ):
                    axes.plot(steps, np.array(losses, dtype=float), color=colour, alpha=0.65, linewidth=0.7)
            axes.set_title(_wrap(run.label, 42, 2))
            axes.set_xlabel("optimizer step")
            axes.set_ylim(bottom=None if _is_negative(run) else 0)
            axes.grid(axis="y")
        panels[0].set_ylabel("loss")
        handles = [Line2D([], [], color=ORANGE), Line2D([], [], color=BLUE)]
        figure.legend(handles, ["training patients", "held-out patients"], loc="outside upper right", ncols=2)
    return figure


def _is_negative(run: PretrainingRun) -> bool:
    """Whether a loss lies below 0, as that of the decoupled contrastive objective may."""
    return any((loss or 0) < 0 for curve in run.curves for point in curve for loss in _losses(point))


def _losses(point: CurvePoint) -> tuple[float | None, float | None]:
    return point.train_loss, point.validation_loss


def is_filled_in(runs: Sequence[PretrainingRun]) -> bool:
    """Whether something was hidden from the encoder, and had to be filled in."""
    return any(any(item.is_masked) for run in runs for item in run.reconstructions)


def plot_reconstructions(runs: Sequence[PretrainingRun], most: int = 3) -> Figure:
    """Segments of held-out patients, what was hidden, and what the encoder filled in; or gave back, if all was seen."""
    is_filled = is_filled_in(runs)
    rows = [(run, item) for run in runs for item in run.reconstructions[:most]]
    with drawing():
        figure, panels = _grid(len(rows), 1 if len(rows) == 1 else 2, 1.15)
        for axes, (run, item) in zip(panels, rows, strict=True):
            time_s = np.arange(len(item.original)) / item.fs_hz
            is_masked = np.asarray(item.is_masked, dtype=bool)
            for start, stop in _stretches(is_masked):
                axes.axvspan(start / item.fs_hz, stop / item.fs_hz, color=PALE, linewidth=0)
            axes.plot(time_s, item.original, color=GREY, linewidth=1.3)
            shown = np.where(is_masked, item.reconstruction, np.nan) if is_filled else item.reconstruction
            axes.plot(time_s, shown, color=RED, linewidth=1.1)
            axes.set_title(_wrap(f"{run.label}: {item.channel}", 52, 1), fontsize=8, fontweight="normal")
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.margins(x=0)
        for axes in panels[-2:]:
            axes.set_xlabel("time, s")
        handles = [Line2D([], [], color=GREY, linewidth=1.3), Line2D([], [], color=RED), Patch(facecolor=PALE)]
        labels = ["signal", "filled in", "hidden from the encoder"] if is_filled else ["signal", "given back"]
        figure.legend(handles[: len(labels)], labels, loc="outside upper right", ncols=3)
    return figure


def _stretches(mask: BoolArray) -> list[tuple[int, int]]:
    """First and one-past-last sample of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]


# --- results ---------------------------------------------------------------------------------------------------


def roc_panels(results: Results) -> list[tuple[str, list[ArmResult]]]:
    """At most four curves a panel, families together; the reference is drawn in every panel and has none of its own."""
    panels = []
    reference = reference_arm(results)
    for name, arms in grouped(results.arms).items():
        arms = [arm for arm in arms if arm is not reference and arm.roc.false_positive_rate]
        chunks = [arms[i : i + ROC_CURVES] for i in range(0, len(arms), ROC_CURVES)]
        panels += [(name if i == 0 else f"{name} (continued)", chunk) for i, chunk in enumerate(chunks)]
    return panels or [("Reference", [])]


def plot_roc(results: Results, panels: Sequence[tuple[str, list[ArmResult]]]) -> Figure:
    """ROC curves in small multiples."""
    with drawing():
        figure, axes_list = _grid(len(panels), 1 if len(panels) == 1 else 2, 3.05)
        for axes, (title, arms) in zip(axes_list, panels, strict=True):
            _plot_roc_panel(axes, results, title, arms)
    return figure


def _plot_roc_panel(axes: Axes, results: Results, title: str, arms: list[ArmResult]) -> None:
    decimals = rounding.auroc_decimals(results)
    axes.plot([0, 1], [0, 1], color=PALE, linewidth=0.8)
    reference = reference_arm(results)
    if reference is not None:
        label = f"{rounding.number(reference.auroc.estimate, decimals)}  {reference.label}"
        axes.plot(*_roc_points(reference), color=GREY, linewidth=1.0, linestyle=(0, (1, 1)), label=_wrap(label, 40, 2))
    for arm, colour, line in zip(arms, style.SERIES, style.LINE_STYLES, strict=False):
        label = f"{rounding.number(arm.auroc.estimate, decimals)}  {arm.label}"
        axes.plot(*_roc_points(arm), color=colour, linestyle=line, linewidth=1.2, label=_wrap(label, 40, 2))
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="1 − specificity", ylabel="sensitivity", aspect="equal")
    axes.set_xticks(np.linspace(0, 1, 6))
    axes.set_yticks(np.linspace(0, 1, 6))
    axes.grid()
    axes.set_title(title)
    legend = axes.legend(loc="lower right", fontsize=7, handlelength=2.2, labelspacing=0.35, borderaxespad=0.2)
    legend.set_frame_on(True)
    legend.get_frame().set(facecolor="white", alpha=0.85, linewidth=0)


def _roc_points(arm: ArmResult) -> tuple[list[float], list[float]]:
    return arm.roc.false_positive_rate, arm.roc.true_positive_rate


def plot_forest(results: Results) -> Figure:
    """AUROC of every arm with its interval and, beside it, the paired difference to the covariates arm."""
    rows = [(name, arm) for name, arms in grouped(results.arms).items() for arm in arms]
    has_difference = any(arm.difference for _, arm in rows)
    with drawing():
        labels = [_wrap(arm.label, 52, 2) for _, arm in rows]
        figure = new_figure(0.55 + sum(_row_height(label) for label in labels))
        ratios = [1.15, 1] if has_difference else [1]
        axes = figure.subplots(1, len(ratios), sharey=True, width_ratios=ratios, squeeze=False)[0]
        _draw_forest(axes[0], [(name, arm.auroc) for name, arm in rows], null=0.5, label="AUROC (95% interval)")
        if has_difference:
            differences = [(name, arm.difference) for name, arm in rows]
            _draw_forest(axes[1], differences, null=0.0, label="difference in AUROC to covariates")
        _label_rows(axes[0], labels)
    return figure


def plot_untrained_forest(results: Results) -> Figure:
    """Paired difference of each arm with SSL to the same arm with an untrained encoder."""
    arms = [arm for arm in results.arms if arm.difference_to_untrained is not None]
    with drawing():
        labels = [_wrap(arm.label, 52, 2) for arm in arms]
        figure = new_figure(0.55 + sum(_row_height(label) for label in labels))
        axes = figure.subplots()
        rows = [("SSL", arm.difference_to_untrained) for arm in arms]
        _draw_forest(axes, rows, null=0.0, label="difference in AUROC to the untrained encoder")
        _label_rows(axes, labels)
    return figure


def _row_height(label: str) -> float:
    return 0.29 if "\n" in label else 0.245


def _label_rows(axes: Axes, labels: list[str]) -> None:
    axes.set_yticks(range(len(labels)), labels, fontsize=8, linespacing=0.85)
    axes.invert_yaxis()


def _draw_forest(axes: Axes, rows: Sequence[tuple[str, Interval | None]], *, null: float, label: str) -> None:
    axes.axvline(null, color=GREY, linewidth=0.8)
    for position, (name, value) in enumerate(rows):
        if position and name != rows[position - 1][0]:
            axes.axhline(position - 0.5, color=PALE, linewidth=0.6)
        if value is None or value.estimate is None:
            continue
        is_control = name == "Controls"
        colour = GREY if is_control else BLUE
        if value.ci_low is not None and value.ci_high is not None:
            axes.plot([value.ci_low, value.ci_high], [position, position], color=colour, linewidth=1.2)
        fill = "white" if is_control else colour
        axes.plot([value.estimate], [position], "o", color=colour, markersize=4.2, markerfacecolor=fill)
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlabel(label)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
