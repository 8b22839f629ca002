"""Settings of the method that no file changes: the packages that compute with them and the report read them here."""

from __future__ import annotations

BANDS_HZ: dict[str, tuple[float, float]] = {"ppg": (0.5, 8.0), "ecg": (0.5, 40.0), "acc": (0.5, 8.0)}
"""Band-pass edges by modality, where ``signal.band_hz`` of a cohort gives none."""

BRIDGE_S = 0.2
"""Defects of the raw signal up to this long are interpolated."""

TOLERATED_PROPORTION = 0.05
"""Proportion of unusable samples up to which a segment is still accepted."""

QUALITY_INDICES = ("template", "structure", "wander", "amplitude", "pauses")
"""What the signal quality index is the least of, see :data:`ppgssl.signals.quality_indices.QUALITY`."""

ECG_WAVE_FS_HZ = 100.0
"""Least rate for the waves of an ECG: at lower ones the edges of the QRS complex fall between the samples."""

MOST_FEATURES = 30
"""A horseshoe model replaces more signal features than this by as many principal components."""
