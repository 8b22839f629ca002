"""Predictions -> measures, intervals, tables. Knows no waveforms.

The functions of ``__all__`` are the public door, see :mod:`ppgssl.evaluation.arrays`; they are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppgssl.evaluation.arrays import auroc, calibration, compare, decision_curve

__all__ = ["auroc", "calibration", "compare", "decision_curve"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("ppgssl.evaluation.arrays"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
