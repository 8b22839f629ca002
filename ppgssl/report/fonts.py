"""Letters that the fonts at hand hold: those inside Typst, and the DejaVu family that ships with matplotlib."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.ft2font import FT2Font

_INVISIBLE = frozenset("\u200b\u200e\u200f\ufeff")


def fallback_fonts() -> list[Path]:
    """Files of the fallback fonts: Cyrillic, Greek, Vietnamese, Arabic, Hebrew, Georgian, Armenian and signs.

    matplotlib's folder also holds a font that draws a box for every letter there is, which must not win over a font
    of the machine.
    """
    return sorted((Path(mpl.get_data_path()) / "fonts" / "ttf").glob("DejaVuSans*.ttf"))


@cache
def _letters() -> frozenset[int]:
    return frozenset(letter for file in fallback_fonts() for letter in FT2Font(str(file)).get_charmap())


def missing_letters(text: str) -> str:
    """Letters of ``text`` that no font at hand holds, each once, in order; Chinese for example."""
    odd = dict.fromkeys(letter for letter in text if ord(letter) > 0x24F and ord(letter) not in _letters())
    return "".join(letter for letter in odd if letter not in _INVISIBLE)
