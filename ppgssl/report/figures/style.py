"""Look of the figures: sizes, a palette that survives colour blindness and grey print, and saving as SVG.

Texts are laid out with the metrics of STIX (which ships with matplotlib) and stay text in the SVG, where the name is
changed to that of a face of nearly the same widths: Libertinus Serif in the PDF, which Typst embeds, and in a browser
STIX itself or Times.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

TEXT_WIDTH_IN = 166 / 25.4

# Okabe and Ito's palette, and two inks.
BLUE, ORANGE, GREEN, RED, SKY, PURPLE = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7"
INK, GREY, PALE = "#1c2733", "#7b8794", "#e4e9ee"
SERIES = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY)
LINE_STYLES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (5, 1.2, 1.2, 1.2)))

PRINT_FONTS = "'Libertinus Serif'"
SCREEN_FONTS = "'STIX Two Text', STIXGeneral, 'Times New Roman', Times, 'Liberation Serif', serif"
_METRICS_FONT = "STIXGeneral"
# A cloud of more points than this is a picture inside the SVG: thousands of patients would make it megabytes.
_MOST_POINTS = 3000
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
    "savefig.dpi": 300,
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


def to_svg(figure: Figure) -> str:
    """The figure as SVG, without a date; :func:`set_fonts` has to name the fonts of its texts."""
    for points in figure.findobj(PathCollection):
        if isinstance(points, PathCollection) and len(np.asarray(points.get_offsets())) > _MOST_POINTS:
            points.set_rasterized(True)
    buffer = io.StringIO()
    with drawing():
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    return buffer.getvalue()


def set_fonts(svg: str, families: str) -> str:
    """Name the fonts of a figure's texts, as a CSS list of families."""
    return svg.replace(f"'{_METRICS_FONT}'", families)
