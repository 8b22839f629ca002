"""Look of the figures: sizes, a palette that survives colour blindness and grey print, and saving as SVG.

Texts are laid out with the metrics of STIX (which ships with matplotlib) and stay text in the SVG, where the name is
changed to Libertinus Serif, a face of nearly the same widths: Typst sets them in the report's own font and embeds it.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

TEXT_WIDTH_IN = 166 / 25.4

# Okabe and Ito's palette, and two inks.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
INK, GREY, PALE = "#1c2733", "#7b8794", "#e4e9ee"
SERIES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
LINE_STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.2, 1.2, 1.2)))

_METRICS_FONT, _REPORT_FONT = "STIXGeneral", "Libertinus Serif"
_RC: Any = {  # matplotlib's own type lists every key there is
    "font.family": [_METRICS_FONT, "DejaVu Sans"],
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": PALE,
    "grid.linewidth": 0.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "text.color": INK,
    "text.parse_math": False,  # a `$` in somebody's label is a dollar
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "hatch.linewidth": 0.5,
    "path.simplify_threshold": 0.3,
    "svg.fonttype": "none",
    "svg.hashsalt": "ppgssl",  # equal results give equal bytes
    "mathtext.fontset": "stix",
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style. Letters beyond the metrics fonts are measured as boxes, and set by Typst."""
    logger = logging.getLogger("matplotlib.font_manager")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with mpl.rc_context(_RC), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r"Glyph \d+", category=UserWarning)
            warnings.filterwarnings("ignore", message="Matplotlib currently does not support", category=UserWarning)
            yield
    finally:
        logger.setLevel(level)


def new_figure(height_in: float, width_in: float = TEXT_WIDTH_IN) -> Figure:
    return Figure(figsize=(width_in, height_in), layout="constrained")


def save_svg(figure: Figure, path: Path) -> None:
    """Write the figure; its texts name the report's font."""
    buffer = io.StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    path.write_text(buffer.getvalue().replace(_METRICS_FONT, _REPORT_FONT), encoding="utf-8")
