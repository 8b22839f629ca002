"""A pretrained encoder as a scikit-learn transformer: raw samples in, embeddings out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin

from ppgssl.core.errors import SignalError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.features.embeddings import embed
from ppgssl.features.pooling import feature_names
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import (
    ChannelDescription,
    InputDescription,
    load_input_description,
    segment_bank,
)
from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.preprocessing import Processed, preprocess
from ppgssl.signals.segmentation import cut, segment_starts
from ppgssl.store.samples import Segments, segment_levels


@dataclass(frozen=True)
class EmbeddedSegments:
    """Embeddings of a recording's segments, and where these lie.

    Attributes
    ----------
    embeddings : float32 array, shape (n_segments, embedding_dim)
    start_s : float array, shape (n_segments,)
        Seconds from the first sample of the recording to that of the segment.
    left_out_s : float array, shape (n_left_out,)
        The same of segments without an embedding, since samples are missing or unusable in them.
    """

    embeddings: FloatArray
    start_s: FloatArray
    left_out_s: FloatArray


class SegmentEncoder(TransformerMixin, BaseEstimator):
    """A pretrained encoder, and what it was trained to be given; there is nothing to fit.

    Raw samples are band-passed, resampled, cut into segments and normalised as in training. What ingest rejects for its
    signal quality index is embedded here: only segments with missing samples, or with defects that ingest takes out
    (such as clipped intervals), are left out.

    Parameters
    ----------
    network : EncoderNetwork
        In evaluation mode; move it to a GPU with ``encoder.network.to("cuda")``.
    description : InputDescription
        Channels and their order, sampling rate, length of a segment, normalisation.
    fs_hz : float or None
        Sampling rate of what is given, in Hz, any that is over twice the pass band; used where a call does not give it.
    cohort : str or None
        Under normalisation ``cohort``, whose constants are used; the labelled cohort's by default.

    Examples
    --------
    >>> from ppgssl import SegmentEncoder
    >>> encoder = SegmentEncoder.from_folder("run/encoders/ssl-all/fold-01")  # doctest: +SKIP
    >>> recordings = encoder.transform(array, fs_hz=80)  # doctest: +SKIP
    """

    def __init__(
        self,
        network: EncoderNetwork,
        description: InputDescription,
        *,
        fs_hz: float | None = None,
        cohort: str | None = None,
    ) -> None:
        self.network, self.description, self.fs_hz, self.cohort = network, description, fs_hz, cohort

    @classmethod
    def from_folder(cls, path: str | Path, *, fs_hz: float | None = None, cohort: str | None = None) -> Self:
        """The encoder that ``ppgssl pretrain`` left in a folder. Its weights are numbers alone, and run no code.

        Raises
        ------
        StoreError
            If there is none, it is damaged, or it does not describe its input.
        """
        folder = Path(path).expanduser()
        return cls(load_encoder(folder), load_input_description(folder), fs_hz=fs_hz, cohort=cohort)

    def fit(self, X: Any = None, y: Any = None) -> Self:  # noqa: ARG002 - scikit-learn's signature
        """Do nothing: the encoder is trained."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:  # noqa: ARG002 - scikit-learn's signature
        """``ssl_000``, ``ssl_001`` and so on of moments; of readouts, what they are: ``ssl_interval_log_rmssd``."""
        return np.array(feature_names(self.network), dtype=object)

    def transform(self, X: ArrayLike, *, fs_hz: float | None = None) -> FloatArray:
        """Embedding of each recording: the mean over its segments.

        Parameters
        ----------
        X : array, shape (n_recordings, n_channels, n_samples)
            Raw samples, as they come from the device, NaN where missing, channels in the order of
            ``description.channel_names``. An optional channel that was not recorded is all NaN. Time may be as short as
            a segment.
        fs_hz : float, optional
            Sampling rate of ``X``; by default that of the constructor.

        Returns
        -------
        float32 array, shape (n_recordings, embedding_dim)
            NaN for a recording without a usable segment; a warning reports how many.

        Raises
        ------
        SignalError, ConfigError
            As :meth:`embed_segments`.
        """
        recordings = _as_numbers(X)
        if recordings.ndim != 3:
            raise SignalError(
                f"`transform` takes recordings of shape (n_recordings, {len(self.description.channels)}, n_samples), "
                f"and was given {recordings.shape}: of a single recording, give `X[None]`, or use `embed`"
            )
        found = np.full((len(recordings), self.network.embedding_dim), np.nan, dtype=np.float32)
        for row, recording in enumerate(recordings):
            embeddings = self.embed_segments(recording, fs_hz=fs_hz).embeddings
            if len(embeddings):
                found[row] = embeddings.mean(axis=0)
        n_empty = int(np.isnan(found).all(axis=1).sum())
        if n_empty:
            warnings.warn(f"{n_empty} of {len(found)} recordings have no usable segment: they are NaN", stacklevel=2)
        return found

    def embed(self, samples: ArrayLike, *, fs_hz: float | None = None) -> FloatArray:
        """Embeddings of the segments of one recording, in order of time: see :meth:`embed_segments`.

        Returns
        -------
        float32 array, shape (n_segments, embedding_dim)
            Without the segments in which samples are missing or unusable; a warning then names them.
        """
        found = self.embed_segments(samples, fs_hz=fs_hz)
        if len(found.left_out_s):
            shown = ", ".join(f"{start:g}" for start in found.left_out_s[:10])
            warnings.warn(
                f"{len(found.left_out_s)} of {len(found.left_out_s) + len(found.start_s)} segments are left out, since "
                f"samples are missing or unusable in them: those that start at {shown}"
                f"{', ...' if len(found.left_out_s) > 10 else ''} s. `embed_segments` returns where the others start.",
                stacklevel=2,
            )
        return found.embeddings

    def embed_segments(self, samples: ArrayLike, *, fs_hz: float | None = None) -> EmbeddedSegments:
        """Embeddings of the segments of one recording, and where they lie.

        Parameters
        ----------
        samples : array, shape (n_channels, n_samples), or (n_samples,) where the encoder has one channel
            As of :meth:`transform`.
        fs_hz : float, optional
            As of :meth:`transform`.

        Raises
        ------
        SignalError
            If the array does not have the encoder's channels, the rate is impossible, or no segment fits.
        ConfigError
            If the cohort is not one of the encoder's.
        """
        raw, is_present = self._check_samples(samples)
        rate_hz = self._check_rate(fs_hz)
        present = [self.description.channels[number] for number in np.flatnonzero(is_present)]
        rows = zip(present, raw[is_present], strict=True)
        processed = [_process(channel, row, rate_hz, self.description) for channel, row in rows]
        stacked = _spread([item.samples for item in processed], is_present)
        starts = self._starts(stacked.shape[1])
        wanted = self.description
        is_usable = np.isfinite(cut(stacked, starts, wanted.segment_samples)).all(axis=(0, 2))
        kept = starts[is_usable]
        levels = [
            segment_levels(item.baseline.astype(np.float32), kept / wanted.fs_hz, wanted.segment_s)
            for item in processed
        ]
        segments = Segments(
            samples=stacked,
            start=kept,
            length=wanted.segment_samples,
            is_present=np.broadcast_to(is_present, (len(kept), len(is_present))),
            baseline=_spread(levels, is_present, absent=1.0).T,
        )
        embeddings = embed(self.network, segment_bank(segments, wanted, self.cohort), np.arange(len(kept)))
        return EmbeddedSegments(embeddings, kept / wanted.fs_hz, starts[~is_usable] / wanted.fs_hz)

    def _check_samples(self, samples: ArrayLike) -> tuple[FloatArray, BoolArray]:
        raw, names = np.atleast_2d(_as_numbers(samples)), self.description.channel_names
        if raw.ndim != 2 or len(raw) != len(names):
            is_transposed = raw.ndim == 2 and raw.shape[1] == len(names)
            raise SignalError(
                f"the encoder takes samples of shape ({len(names)}, n_samples), channels {', '.join(names)} in this "
                f"order, and was given {np.shape(samples)}{': transpose it' if is_transposed else ''}"
            )
        may_lack = np.array([channel.is_optional for channel in self.description.channels])
        is_present = ~(may_lack & np.isnan(raw).all(axis=1))
        if not is_present.any():
            raise SignalError(f"no channel has a sample: {', '.join(names)} are all NaN")
        return raw, is_present

    def _check_rate(self, fs_hz: float | None) -> float:
        rate_hz = self.fs_hz if fs_hz is None else fs_hz
        least = 2 * max(channel.band_hz[1] for channel in self.description.channels)
        if not isinstance(rate_hz, int | float | np.number) or not least < rate_hz < np.inf:
            raise SignalError(
                f"`fs_hz` is {rate_hz!r}: it must be the number of samples a second in what was given, "
                f"over {least:g} Hz, twice the upper edge of the pass band"
            )
        return float(rate_hz)

    def _starts(self, n_samples: int) -> IntArray:
        wanted = self.description
        starts = segment_starts(n_samples, fs_hz=wanted.fs_hz, segment_s=wanted.segment_s, step_s=wanted.step_s)
        if not len(starts):
            raise SignalError(
                f"the recording lasts {n_samples / wanted.fs_hz:g} s at the given rate, and the encoder takes segments "
                f"of {wanted.segment_s:g} s. Is `fs_hz` right, and is time the last axis?"
            )
        return starts


def _process(channel: ChannelDescription, raw: FloatArray, rate_hz: float, wanted: InputDescription) -> Processed:
    item = preprocess(
        raw,
        fs_hz=rate_hz,
        fs_out_hz=wanted.fs_hz,
        band_hz=channel.band_hz,
        look_for_defects=wanted.find_defects,
    )
    is_down = channel.inverted
    if is_down == "auto":
        is_down = is_inverted(polarity(item.samples, fs_hz=wanted.fs_hz))
    return Processed(-item.samples, item.flags, item.baseline) if is_down else item


def _as_numbers(samples: ArrayLike) -> FloatArray:
    raw = np.asarray(samples)
    try:
        if np.iscomplexobj(raw):
            raise TypeError
        return raw.astype(np.float64)
    except (TypeError, ValueError):
        raise SignalError(
            f"the encoder takes an array of real numbers, NaN where a sample is missing, and was given one of type "
            f"{raw.dtype}"
        ) from None


def _spread(rows: list[FloatArray], is_present: BoolArray, *, absent: float = 0.0) -> FloatArray:
    """Rows of the channels that are there, and a constant for the others."""
    spread = np.full((len(is_present), len(rows[0])), absent, dtype=np.float32)
    spread[is_present] = rows
    return spread
