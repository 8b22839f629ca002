"""A pretrained encoder as a person uses it: raw samples in, embeddings out."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ppgssl.core.errors import ConfigError, SignalError
from ppgssl.core.records import BoolArray, FloatArray, IntArray
from ppgssl.features.embeddings import embed
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import ChannelDescription, InputDescription, load_input_description
from ppgssl.signals.normalisation import Affine, normalise, segment_moments
from ppgssl.signals.polarity import is_inverted, polarity
from ppgssl.signals.preprocessing import Processed, preprocess
from ppgssl.signals.segmentation import cut, segment_starts


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


@dataclass(frozen=True)
class Encoder:
    """A pretrained encoder, and what it was trained to be given.

    Examples
    --------
    >>> from ppgssl import Encoder
    >>> embeddings = Encoder.load("run/encoders/ssl-all/fold-01").embed(array, 80)  # doctest: +SKIP

    Attributes
    ----------
    network : EncoderNetwork
        In evaluation mode; move it to a GPU with ``encoder.network.to("cuda")``.
    input : InputDescription
        Channels and their order, sampling rate, length of a segment, normalisation.
    """

    network: EncoderNetwork = field(repr=False)
    input: InputDescription

    @classmethod
    def load(cls, folder: str | Path) -> Encoder:
        """The encoder that ``ppgssl pretrain`` left in a folder. Its weights are numbers alone, and run no code.

        Raises
        ------
        StoreError
            If there is none, it is damaged, or it does not say what its input is.
        """
        path = Path(folder).expanduser()
        return cls(load_encoder(path), load_input_description(path))

    def embed(self, samples: ArrayLike, sampling_rate: float, *, cohort: str | None = None) -> FloatArray:
        """Embeddings of the segments of a recording, in order of time: see :meth:`embed_segments`.

        Returns
        -------
        float32 array, shape (n_segments, embedding_dim)
            Without the segments in which samples are missing or unusable; a warning then says which.
        """
        found = self.embed_segments(samples, sampling_rate, cohort=cohort)
        if len(found.left_out_s):
            shown = ", ".join(f"{start:g}" for start in found.left_out_s[:10])
            warnings.warn(
                f"{len(found.left_out_s)} of {len(found.left_out_s) + len(found.start_s)} segments are left out, since "
                f"samples are missing or unusable in them: those that start at {shown}"
                f"{', ...' if len(found.left_out_s) > 10 else ''} s. `embed_segments` tells where the others start.",
                stacklevel=2,
            )
        return found.embeddings

    def embed_segments(
        self, samples: ArrayLike, sampling_rate: float, *, cohort: str | None = None
    ) -> EmbeddedSegments:
        """Band-pass, resample, cut and normalise a recording as in training, and embed its segments.

        What ingest rejects for its signal quality index is embedded here: only segments with missing samples, or with
        defects that ingest takes out (such as clipped stretches), are left out.

        Parameters
        ----------
        samples : array, shape (n_channels, n_samples), or (n_samples,) where the encoder has one channel
            Raw samples, as they come from the device, NaN where missing, in the order of ``input.channel_names``. An
            optional channel that was not recorded is all NaN.
        sampling_rate : float
            Of ``samples``, in Hz; any that is over twice the pass band.
        cohort : str or None
            Under normalisation ``cohort``, whose constants are used; the labelled cohort's by default.

        Raises
        ------
        SignalError
            If the array does not have the encoder's channels, the rate is impossible, or no segment fits.
        ConfigError
            If the cohort is not one of the encoder's.
        """
        raw, is_present = self._checked(samples)
        self._check_rate(sampling_rate)
        processed = [self._process(channel, row, sampling_rate) for channel, row in self._present(raw, is_present)]
        stacked = _spread([item.samples for item in processed], is_present)
        starts = self._starts(stacked.shape[1])
        length = self.input.segment_samples
        is_usable = np.isfinite(cut(stacked, starts, length)).all(axis=(0, 2))
        kept = starts[is_usable]
        baseline = _spread([self._baseline(item, kept) for item in processed], is_present, absent=1.0).T
        affine = self._normalisation(cut(stacked, kept, length).swapaxes(0, 1), baseline, is_present, cohort)
        bank = SegmentBank(stacked, kept, length, affine.offset, affine.scale)
        embeddings = embed(self.network, bank, np.arange(len(kept)))
        return EmbeddedSegments(embeddings, kept / self.input.fs_hz, starts[~is_usable] / self.input.fs_hz)

    def _checked(self, samples: ArrayLike) -> tuple[FloatArray, BoolArray]:
        raw, names = np.atleast_2d(_as_numbers(samples)), self.input.channel_names
        if raw.ndim != 2 or len(raw) != len(names):
            is_turned = raw.ndim == 2 and raw.shape[1] == len(names)
            raise SignalError(
                f"the encoder takes samples of shape ({len(names)}, n_samples), channels {', '.join(names)} in this "
                f"order, and was given {np.shape(samples)}{': transpose it' if is_turned else ''}"
            )
        may_lack = np.array([channel.is_optional for channel in self.input.channels])
        is_present = ~(may_lack & np.isnan(raw).all(axis=1))
        if not is_present.any():
            raise SignalError(f"no channel has a sample: {', '.join(names)} are all NaN")
        return raw, is_present

    def _check_rate(self, sampling_rate: float) -> None:
        least = 2 * max(channel.band_hz[1] for channel in self.input.channels)
        if not isinstance(sampling_rate, int | float | np.number) or not least < sampling_rate < np.inf:
            raise SignalError(
                f"`sampling_rate` is {sampling_rate!r}: it must be the number of samples a second in what was given, "
                f"over {least:g} Hz, twice the upper edge of the pass band"
            )

    def _present(self, raw: FloatArray, is_present: BoolArray) -> list[tuple[ChannelDescription, FloatArray]]:
        return [(self.input.channels[number], raw[number]) for number in np.flatnonzero(is_present)]

    def _process(self, channel: ChannelDescription, raw: FloatArray, sampling_rate: float) -> Processed:
        item = preprocess(
            raw,
            fs_hz=sampling_rate,
            fs_out_hz=self.input.fs_hz,
            band_hz=channel.band_hz,
            judge=self.input.find_defects,
        )
        is_down = channel.inverted
        if is_down == "auto":
            is_down = is_inverted(polarity(item.samples, fs_hz=self.input.fs_hz))
        return Processed(-item.samples, item.flags, item.baseline) if is_down else item

    def _starts(self, n_samples: int) -> IntArray:
        wanted = self.input
        starts = segment_starts(n_samples, fs_hz=wanted.fs_hz, segment_s=wanted.segment_s, step_s=wanted.step_s)
        if not len(starts):
            raise SignalError(
                f"the recording lasts {n_samples / wanted.fs_hz:g} s at the given rate, and the encoder takes segments "
                f"of {wanted.segment_s:g} s. Is `sampling_rate` right, and is time the last axis?"
            )
        return starts

    def _baseline(self, item: Processed, starts: IntArray) -> FloatArray:
        """Raw level of each segment: the median over its seconds, as for the segments of a store."""
        first_s = starts / self.input.fs_hz
        last = np.maximum(np.ceil(first_s + self.input.segment_s), np.floor(first_s) + 1).astype(np.int64)
        stretches = zip(first_s.astype(np.int64), last, strict=True)
        return np.array([_median(item.baseline[first:end]) for first, end in stretches])

    def _normalisation(
        self, segments: FloatArray, baseline: FloatArray, is_present: BoolArray, cohort: str | None
    ) -> Affine:
        """Of segments, shape (n_segments, n_channels, length)."""
        shape = segments.shape[:2]
        present = np.broadcast_to(is_present, shape)
        if self.input.normalisation == "cohort":
            constants = self._constants(cohort)
            offset, scale = (np.broadcast_to(np.array(values, dtype=np.float32), shape) for values in constants)
            return Affine(np.where(present, offset, 0), np.where(present, scale, 1))
        return normalise(
            self.input.normalisation,
            moments=lambda: segment_moments([(np.arange(len(segments)), segments)], shape),
            baseline=baseline,
            is_present=present,
            cohort=np.zeros(len(segments), dtype=np.int64),
            is_training=np.zeros(len(segments), dtype=bool),
            fixed=self.input.fixed,
            channels=self.input.channel_names,
        )

    def _constants(self, cohort: str | None) -> tuple[list[float], list[float]]:
        known = self.input.cohorts
        name = next(iter(known)) if cohort is None else cohort
        if name not in known:
            raise ConfigError(f"the encoder knows no cohort {name!r}: it was normalised for {', '.join(known)}")
        return known[name].offset, known[name].scale


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


def _median(values: FloatArray) -> float:
    finite = values[np.isfinite(values)]
    return float(np.median(finite)) if len(finite) else float("nan")
