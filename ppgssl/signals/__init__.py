"""Arrays in, arrays out: defects, filters, resampling, segments, beats, quality, vital signs. Time is the last axis.

The functions of ``__all__`` are the public door, see :mod:`ppgssl.signals.arrays`; they are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppgssl.signals.arrays import (
        beats,
        heart_rate,
        heart_rate_track,
        hrv,
        preprocess,
        quality,
        respiratory_rate,
        segments,
        spo2,
    )

__all__ = [
    "beats",
    "heart_rate",
    "heart_rate_track",
    "hrv",
    "preprocess",
    "quality",
    "respiratory_rate",
    "segments",
    "spo2",
]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("ppgssl.signals.arrays"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
