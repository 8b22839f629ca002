"""What an encoder is given: described in its ``model.json``, and prepared so wherever segments come from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pydantic import Field, ValidationError

from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.provenance import fingerprint, write_atomically
from ppgssl.core.records import BoolArray, FloatArray, modality
from ppgssl.core.schema import Schema
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoder_io import MODEL_FILE, read_model
from ppgssl.signals.normalisation import fit_constants, normalise
from ppgssl.store.processing import band_hz
from ppgssl.store.samples import Segments
from ppgssl.store.study_data import StudyData

_SECTION = "input"


class ChannelDescription(Schema):
    """One input channel: its pass band, and whether the systolic upstroke points down (``auto``: look at the pulses).

    An optional channel may be missing: all its samples are 0 then, which training has prepared the encoder for.
    """

    name: str
    band_hz: tuple[float, float]
    inverted: bool | Literal["auto"] = "auto"
    is_optional: bool = False


class CohortConstants(Schema):
    """Normalisation ``cohort``: ``(samples - offset) * scale`` of band-passed samples, a number for each channel."""

    offset: list[float]
    scale: list[float]


class InputDescription(Schema):
    """Segments as an encoder was trained on them, with channels in the order of its input.

    ``find_defects`` holds whether ingest looked for defects other than missing samples. ``fixed`` is for normalisation
    ``fixed``: mean and SD of each channel; ``cohorts`` for ``cohort``, the labelled cohort first. See
    :func:`ppgssl.signals.normalisation.normalise`.
    """

    channels: list[ChannelDescription]
    fs_hz: float
    segment_s: float
    step_s: float
    find_defects: bool = True
    normalisation: Literal["segment", "cohort", "ac_dc", "fixed"]
    fixed: dict[str, tuple[float, float]] = Field(default_factory=dict)
    cohorts: dict[str, CohortConstants] = Field(default_factory=dict)

    @property
    def channel_names(self) -> list[str]:
        return [channel.name for channel in self.channels]

    @property
    def segment_samples(self) -> int:
        return round(self.segment_s * self.fs_hz)


def describe_study_input(data: StudyData, is_training: BoolArray) -> InputDescription:
    """What a study's encoders are given; the labelled cohort decides how raw samples are processed.

    ``is_training``, bool, shape (n_segments,), chooses segments that decide the constants of normalisation ``cohort``;
    the other methods have nothing to fit. A ``SignalError`` is raised if a cohort has no such segment.
    """
    inputs = data.study.inputs
    return InputDescription(
        channels=input_channels(data),
        fs_hz=inputs.fs_hz,
        segment_s=inputs.segment_s,
        step_s=inputs.step_s,
        find_defects=data.labelled.cohort.quality.enabled,
        normalisation=inputs.normalisation,
        fixed=inputs.fixed if inputs.normalisation == "fixed" else {},
        cohorts=_fitted(data, is_training) if inputs.normalisation == "cohort" else {},
    )


def input_channels(data: StudyData) -> list[ChannelDescription]:
    """The channels of a study's encoders; the first cohort that has a channel decides how it is processed."""
    may_drop = data.study.pretraining.channel_dropout > 0
    return [
        _channel(data, number, is_optional=channel.optional or may_drop)
        for number, channel in enumerate(data.study.inputs.channels)
    ]


def segment_bank(segments: Segments, description: InputDescription, cohort: ArrayLike | None = None) -> SegmentBank:
    """Segments as an encoder takes them: of a study, of another hospital, or of one recording.

    Parameters
    ----------
    segments : Segments
    description : InputDescription
        With the constants of the normalisation, where it has any.
    cohort : str or array of str, shape (n_segments,), optional
        Whose constants each segment gets under normalisation ``cohort``: by default those of the labelled cohort.

    Raises
    ------
    ConfigError
        If a cohort is not one of the description's.
    SignalError
        If a baseline is not positive under normalisation ``ac_dc``.
    """
    affine = normalise(
        description.normalisation,
        moments=lambda: segments.moments,
        baseline=segments.baseline,
        is_present=segments.is_present,
        fixed=description.fixed,
        constants=_constants(description, cohort, len(segments.start)) if description.cohorts else None,
        channels=description.channel_names,
    )
    return SegmentBank(
        segments.samples,
        segments.start,
        segments.length,
        affine.offset,
        affine.scale,
        samples_sha256=segments.samples_sha256,
    )


def study_bank(data: StudyData, description: InputDescription) -> SegmentBank:
    """All segments of a study, each normalised by the constants of its own cohort."""
    return segment_bank(data.segments, description, data.segments.table["cohort"])


def _constants(
    description: InputDescription, cohort: ArrayLike | None, n_segments: int
) -> tuple[FloatArray, FloatArray]:
    """Offset and scale of each segment, shape (n_segments, n_channels)."""
    names = list(description.cohorts)
    wanted = np.broadcast_to(np.asarray(names[0] if cohort is None else cohort, dtype=str), (n_segments,))
    unknown = sorted(set(wanted.tolist()) - set(names))
    if unknown:
        raise ConfigError(f"the encoder knows no cohort {unknown[0]!r}: it was normalised for {', '.join(names)}")
    number = pd.Index(names).get_indexer(pd.Index(wanted))
    known = description.cohorts.values()
    offset, scale = (
        np.array(values, dtype=np.float32) for values in zip(*((one.offset, one.scale) for one in known), strict=True)
    )
    return offset[number], scale[number]


def _channel(data: StudyData, number: int, *, is_optional: bool) -> ChannelDescription:
    sources = ((store.cohort, data.segments.channel_of[store.cohort.name][number]) for store in data.stores)
    cohort, source = next((cohort, source) for cohort, source in sources if source is not None)
    inverted = cohort.signals.channels[source].inverted
    return ChannelDescription(
        name=data.study.inputs.channels[number].name,
        band_hz=band_hz(source, cohort),
        inverted=inverted if inverted != "auto" or modality(source) == "ppg" else False,
        is_optional=is_optional,
    )


def _fitted(data: StudyData, is_training: BoolArray) -> dict[str, CohortConstants]:
    segments = data.segments
    cohort = segments.table["cohort"].to_numpy()
    found = {}
    for name in (store.cohort.name for store in data.stores):
        is_own = cohort == name
        if is_own.any():
            offset, scale = fit_constants(segments.moments, is_own & is_training)
            is_present = segments.is_present[is_own][0]
            offset, scale = np.where(is_present, offset, 0), np.where(is_present, scale, 1)
            found[name] = CohortConstants(offset=offset.tolist(), scale=scale.tolist())
    return found


def save_input_description(folder: Path, description: InputDescription) -> None:
    """Put a description into the ``model.json`` of the encoder in ``folder``, in place of one that is there."""
    model = read_model(folder) | {_SECTION: description.model_dump(mode="json")}
    model["sha256"] = fingerprint(model)
    write_atomically(folder / MODEL_FILE, json.dumps(model, indent=1, ensure_ascii=False))


def load_input_description(folder: Path) -> InputDescription:
    """What the encoder of a folder was trained to be given.

    Raises
    ------
    StoreError
        If there is no encoder, or its ``model.json`` does not describe the input.
    """
    section = read_model(folder).get(_SECTION)
    if section is None:
        raise StoreError(
            f"{folder / MODEL_FILE} does not describe the encoder's input (rate, channels, normalisation). Encoders "
            "that `ppgssl pretrain` makes describe it: pretrain it again, or add it with `save_input_description`."
        )
    try:
        return InputDescription.model_validate(section)
    except ValidationError as error:
        raise StoreError(
            f"{folder / MODEL_FILE}: `{_SECTION}` is no description of an encoder's input: {error}"
        ) from None
