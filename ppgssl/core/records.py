"""What all packages share: one recording, and the signals in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ppgssl.core.reasons import Reason, Unit

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.integer]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Signal:
    """One channel of a recording: float samples, shape (n_samples,), NaN where missing, and their rate.

    The unit is that of the cohort's channel map.
    """

    samples: FloatArray
    fs_hz: float

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.fs_hz


@dataclass(frozen=True)
class Recording:
    """One continuous acquisition of one patient.

    Attributes
    ----------
    recording_id, patient_id : str
        Unique in the cohort; ``patient_id`` as written in the file name and in the clinical table.
    signals : mapping of channel name to Signal
        Channel names are those of the design: ``ppg``, ``ppg_red``, ``ppg_ir``, ``ppg_green``, ``ecg_*``.
    source : str
        Path of the raw file, relative to the cohort's root.
    visit : str
        Visit or session named by the file, empty where the file names none.
    """

    recording_id: str
    patient_id: str
    signals: Mapping[str, Signal] = field(repr=False)
    source: str
    visit: str = ""

    def sha256(self) -> str:
        """Hash of the samples alone: equal for identical signals, whatever file, patient and channels are called.

        Empty where no channel varies: two hours without a sample, or of zeros, are not one recording under two names.
        """
        if not any(_varies(signal.samples) for signal in self.signals.values()):
            return ""
        digests = [
            hashlib.sha256(np.ascontiguousarray(signal.samples, dtype="<f4").tobytes()).digest()
            for signal in self.signals.values()
        ]
        return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _varies(samples: FloatArray) -> bool:
    # fmin and fmax pass over missing samples.
    return bool(np.fmin.reduce(samples, initial=np.inf) < np.fmax.reduce(samples, initial=-np.inf))


def modality(channel: str) -> str:
    """``ppg`` or ``ecg``: the part of a channel's name before the first underscore."""
    return channel.split("_", 1)[0]


@dataclass(frozen=True)
class Reject:
    """Something that ingest left out, and why.

    Attributes
    ----------
    reason : Reason
    subject : str
        Which one: a path relative to the cohort's root, a recording or patient id, ``patient/column`` for a cell.
    detail : str
        File, row, column, what was expected. Never a clinical value.
    """

    reason: Reason
    subject: str
    detail: str = ""

    @property
    def unit(self) -> Unit:
        return self.reason.unit
