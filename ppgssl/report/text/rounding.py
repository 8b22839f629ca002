"""Numbers to words: every rounding of the report. What is not defined prints as an en dash."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable

from ppgssl.core.results.base import Interval
from ppgssl.core.results.study import Results

UNDEFINED = "–"
UNDEFINED_NOTE = "– not defined for these data."
_MINUS = "\u2212"
_NARROW_INTERVAL = 0.04


def _is_defined(*values: float | None) -> bool:
    return all(value is not None and math.isfinite(value) for value in values)


def number(value: float | None, decimals: int = 0, *, signed: bool = False) -> str:
    """``1,234.5`` with a true minus sign, and no minus before a zero."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    rounded = round(value, decimals) + 0.0  # adding zero turns -0.0 into 0.0
    text = f"{abs(rounded):,.{decimals}f}"
    if rounded < 0:
        return _MINUS + text
    return f"+{text}" if signed and rounded > 0 else text


def count(n: int | None) -> str:
    return UNDEFINED if n is None else number(n)


def plural(n: int, word: str, many: str = "") -> str:
    """``1 patient``, ``2 patients``."""
    return f"{count(n)} {word if n == 1 else many or word + 's'}"


def percent(part: int | None, whole: int) -> str:
    """``24.7%``; whole percents where fewer than 200 units make a decimal meaningless."""
    if part is None or whole <= 0:
        return UNDEFINED
    return f"{100 * part / whole:.{0 if whole < 200 else 1}f}%"


def n_percent(part: int | None, whole: int) -> str:
    return UNDEFINED if part is None else f"{count(part)} ({percent(part, whole)})"


def p_value(p: float | None, n_bootstrap: int) -> str:
    """A p-value as journals print it.

    Two decimals from 0.01 on, three below and around 0.05 where two would hide the side, ``<0.001`` below that, and
    never less than the number of resamples can show.
    """
    if p is None or not math.isfinite(p):
        return UNDEFINED
    floor = max(0.001, 2 / (n_bootstrap + 1))
    if p <= floor:
        return f"<{math.ceil(1000 * floor) / 1000:g}"
    if p > 0.99:
        return ">0.99"
    return f"{p:.{3 if p < 0.0095 or 0.045 <= p < 0.055 else 2}f}"


def sd_decimals(sd: float | None) -> int:
    """Decimals that show two significant digits of a standard deviation."""
    if sd is None or not math.isfinite(sd) or sd <= 0:
        return 1
    return min(max(1 - math.floor(math.log10(sd)), 0), 4)


def auroc_decimals(results: Results) -> int:
    """Decimals of every AUROC and difference in one report.

    Two; three where an interval is so narrow that the third is known, or where two would print a limit as zero though
    the interval leaves zero out.
    """
    arms = results.arms
    widths = [_width(arm.auroc) for arm in arms]
    kinds = ("difference", "difference_from_untrained", "difference_from_clinical", "difference_from_hand_crafted")
    differences = [found for arm in arms for kind in kinds if (found := getattr(arm, kind)) is not None]
    is_narrow = any(width is not None and width < _NARROW_INTERVAL for width in widths)
    return 3 if is_narrow or any(map(_hides_its_side, differences)) else 2


def _width(value: Interval) -> float | None:
    if value.ci_low is None or value.ci_high is None or not _is_defined(value.ci_low, value.ci_high):
        return None
    return value.ci_high - value.ci_low


def _hides_its_side(value: Interval) -> bool:
    low, high = value.ci_low, value.ci_high
    if low is None or high is None or not _is_defined(low, high):
        return False
    return low * high > 0 and min(abs(low), abs(high)) < 0.005


def interval(value: Interval | None, decimals: int = 2, *, signed: bool = False) -> str:
    """``0.78 (0.70 to 0.85)``; the word ``to`` because limits can be negative."""
    if value is None or not _is_defined(value.estimate):
        return UNDEFINED
    estimate = number(value.estimate, decimals, signed=signed)
    if not _is_defined(value.ci_low, value.ci_high):
        return f"{estimate} (no interval)"
    limits = f"{number(value.ci_low, decimals, signed=signed)} to {number(value.ci_high, decimals, signed=signed)}"
    return f"{estimate} ({limits})"


def duration(seconds: float | None) -> str:
    """``42 s``, ``7 min``, ``1 h 45 min``."""
    if seconds is None or not math.isfinite(seconds):
        return UNDEFINED
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def memory(megabytes: float | None) -> str:
    if megabytes is None or not math.isfinite(megabytes) or megabytes <= 0:
        return UNDEFINED
    return f"{megabytes:,.0f} MB" if megabytes < 999.5 else f"{megabytes / 1000:.1f} GB"


def energy(joules: float | None) -> str:
    """``840 J``, ``12.3 kJ``, ``4.6 MJ``."""
    if joules is None or not math.isfinite(joules):
        return UNDEFINED
    for unit, size in (("MJ", 1e6), ("kJ", 1e3)):
        if joules >= 0.9995 * size:
            return f"{joules / size:.1f} {unit}" if joules < 99.95 * size else f"{joules / size:,.0f} {unit}"
    return f"{joules:.0f} J"


def short(text: str, most: int = 60) -> str:
    """At most ``most`` letters, for the first page; the sections hold the full text."""
    return textwrap.shorten(text, most, placeholder=" …")


def enumeration(items: Iterable[str], conjunction: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {conjunction} {words[-1]}" if words else ""


def interval_words(value: Interval, decimals: int = 2) -> str:
    """``0.78, 0.70 to 0.85``, for brackets in a sentence."""
    if not _is_defined(value.ci_low, value.ci_high):
        return number(value.estimate, decimals)
    limits = f"{number(value.ci_low, decimals)} to {number(value.ci_high, decimals)}"
    return f"{number(value.estimate, decimals)}, {limits}"


def percent_interval(value: Interval | None, decimals: int = 0, *, signed: bool = False) -> str:
    """``78 (70 to 85)``, of a proportion, in percent; the sign stands in the head of the column."""
    if value is None:
        return UNDEFINED
    scaled = [None if one is None else 100 * one for one in (value.estimate, value.ci_low, value.ci_high)]
    return interval(Interval(estimate=scaled[0], ci_low=scaled[1], ci_high=scaled[2]), decimals, signed=signed)


def risk(threshold: float) -> str:
    """``20%``, ``2.5%``: a risk, with the decimals that it needs and no more than two."""
    return f"{round(100 * threshold, 2):g}%"


def p_exact(p: float | None) -> str:
    """A p-value that comes from no resampling, as journals print it."""
    return p_value(p, 10**9)


def ratio(value: Interval) -> str:
    """``1.52 (1.20 to 1.93)`` of an odds ratio: two decimals below ten, one above, none from 100 on."""
    if not _is_defined(value.estimate):
        return UNDEFINED
    if not _is_defined(value.ci_low) and not _is_defined(value.ci_high):
        return f"{_ratio_number(value.estimate)} (no interval)"
    return f"{_ratio_number(value.estimate)} ({_ratio_number(value.ci_low)} to {_ratio_number(value.ci_high)})"


def _ratio_number(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return UNDEFINED
    if value >= 1e4:
        return ">9,999"
    if 0 <= value < 0.005:
        return "<0.01"
    return number(value, 2 if value < 9.995 else 1 if value < 99.95 else 0)
