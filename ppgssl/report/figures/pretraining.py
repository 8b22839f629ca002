"""Figures of pretraining: losses, and what the encoder filled in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from ppgssl.core.records import BoolArray
from ppgssl.core.results.pretraining import PretrainingRun
from ppgssl.report.figures.layout import grid, wrap
from ppgssl.report.figures.style import BLUE, GREY, ORANGE, PALE, RED, drawing


def plot_curves(runs: Sequence[PretrainingRun]) -> Figure:
    """Losses over training steps, one thin line an encoder."""
    with drawing():
        figure, panels = grid(len(runs), min(len(runs), 2), 1.95)
        for axes, run in zip(panels, runs, strict=True):
            for curve in run.curves:
                steps = [point.step for point in curve]
                for losses, colour in (
                    ([point.train_loss for point in curve], ORANGE),
                    ([point.validation_loss for point in curve], BLUE),
                ):
                    axes.plot(steps, np.array(losses, dtype=float), color=colour, alpha=0.65, linewidth=0.7)
            axes.set_title(wrap(run.label, 42, 2))
            axes.set_xlabel("optimizer step")
            axes.set_ylim(bottom=None if _is_negative(run) else 0)
            axes.grid(axis="y")
        panels[0].set_ylabel("loss")
        handles = [Line2D([], [], color=ORANGE), Line2D([], [], color=BLUE)]
        figure.legend(handles, ["training patients", "held-out patients"], loc="outside upper right", ncols=2)
    return figure


def _is_negative(run: PretrainingRun) -> bool:
    """Whether a loss lies below 0, as that of the decoupled contrastive objective may."""
    points = [point for curve in run.curves for point in curve]
    return any((loss or 0) < 0 for point in points for loss in (point.train_loss, point.validation_loss))


def is_filled_in(runs: Sequence[PretrainingRun]) -> bool:
    """Whether something was hidden from the encoder, and had to be filled in."""
    return any(any(item.is_masked) for run in runs for item in run.reconstructions)


def plot_reconstructions(runs: Sequence[PretrainingRun], most: int = 3) -> Figure:
    """Segments of held-out patients, what was hidden, and what the encoder filled in; or gave back, if all was seen."""
    is_filled = is_filled_in(runs)
    rows = [(run, item) for run in runs for item in run.reconstructions[:most]]
    with drawing():
        figure, panels = grid(len(rows), 1 if len(rows) == 1 else 2, 1.15)
        for axes, (run, item) in zip(panels, rows, strict=True):
            time_s = np.arange(len(item.original)) / item.fs_hz
            is_masked = np.asarray(item.is_masked, dtype=bool)
            for start, stop in _runs(is_masked):
                axes.axvspan(start / item.fs_hz, stop / item.fs_hz, color=PALE, linewidth=0)
            axes.plot(time_s, item.original, color=GREY, linewidth=1.3)
            shown = np.where(is_masked, item.reconstruction, np.nan) if is_filled else item.reconstruction
            axes.plot(time_s, shown, color=RED, linewidth=1.1)
            axes.set_title(wrap(f"{run.label}: {item.channel}", 52, 1), fontsize=8, fontweight="normal")
            axes.set_yticks([])
            axes.spines["left"].set_visible(False)
            axes.margins(x=0)
        for axes in panels[-2:]:
            axes.set_xlabel("time, s")
        handles = [Line2D([], [], color=GREY, linewidth=1.3), Line2D([], [], color=RED), Patch(facecolor=PALE)]
        labels = ["signal", "filled in", "hidden from the encoder"] if is_filled else ["signal", "given back"]
        figure.legend(handles[: len(labels)], labels, loc="outside upper right", ncols=3)
    return figure


def _runs(mask: BoolArray) -> list[tuple[int, int]]:
    """First and one-past-last sample of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2)]
