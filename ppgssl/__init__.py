"""Learn from every pulse-oximeter recording, and test whether it predicts an outcome.

Everything here is imported when it is asked for: ``import ppgssl`` itself loads nothing. See ``docs/api.md``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppgssl import evaluation, signals
    from ppgssl.classifiers.risk_model import RiskModel
    from ppgssl.features.segment_encoder import SegmentEncoder
    from ppgssl.readers.recording_files import read_recording
    from ppgssl.stages.loaded_study import LoadedStudy, load_study
    from ppgssl.store.patient_splitter import PatientKFold
    from ppgssl.store.tables import CohortStore, open_store

__all__ = [
    "CohortStore",
    "LoadedStudy",
    "PatientKFold",
    "RiskModel",
    "SegmentEncoder",
    "evaluation",
    "load_study",
    "open_store",
    "read_recording",
    "signals",
]

_MODULES = {
    "CohortStore": "ppgssl.store.tables",
    "LoadedStudy": "ppgssl.stages.loaded_study",
    "PatientKFold": "ppgssl.store.patient_splitter",
    "RiskModel": "ppgssl.classifiers.risk_model",
    "SegmentEncoder": "ppgssl.features.segment_encoder",
    "load_study": "ppgssl.stages.loaded_study",
    "open_store": "ppgssl.store.tables",
    "read_recording": "ppgssl.readers.recording_files",
}


def __getattr__(name: str) -> Any:
    """Import the module of a public name on first use."""
    if name in ("evaluation", "signals"):
        return import_module(f"ppgssl.{name}")
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
