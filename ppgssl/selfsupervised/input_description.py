"""What an encoder was trained to be given, kept in its ``model.json``: to use it, raw samples alone are needed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, ValidationError

from ppgssl.core.errors import StoreError
from ppgssl.core.provenance import fingerprint, write_atomically
from ppgssl.core.records import modality
from ppgssl.core.schema import Schema
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoder_io import MODEL_FILE, read_model
from ppgssl.selfsupervised.streamed_bank import make_bank
from ppgssl.signals.normalisation import normalise
from ppgssl.store.assembly import StudySegments
from ppgssl.store.processing import band_hz
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
    """Segments as an encoder was trained on them.

    Attributes
    ----------
    channels : list of ChannelDescription
        In the order of the encoder's input.
    fs_hz, segment_s, step_s : float
        Sampling rate, length of a segment and distance between starts.
    find_defects : bool
        Whether ingest looked for defects other than missing samples.
    normalisation : {"segment", "cohort", "ac_dc", "fixed"}
        See :func:`ppgssl.signals.normalisation.normalise`.
    fixed : mapping of channel to (mean, SD)
        For ``fixed``.
    cohorts : mapping of cohort to CohortConstants
        For ``cohort``; the labelled cohort first.
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


def describe_study_input(data: StudyData, bank: SegmentBank) -> InputDescription:
    """What the segments of a study are like; the labelled cohort speaks for how raw samples are processed.

    Parameters
    ----------
    data : StudyData
    bank : SegmentBank
        The study's, normalised for the encoder that is described.
    """
    inputs = data.study.inputs
    may_drop = data.study.pretraining.channel_dropout > 0
    return InputDescription(
        channels=[
            _channel(data, number, is_optional=channel.optional or may_drop)
            for number, channel in enumerate(inputs.channels)
        ],
        fs_hz=inputs.fs_hz,
        segment_s=inputs.segment_s,
        step_s=inputs.step_s,
        find_defects=data.labelled.cohort.quality,
        normalisation=inputs.normalisation,
        fixed=inputs.fixed if inputs.normalisation == "fixed" else {},
        cohorts=_constants(data, bank) if inputs.normalisation == "cohort" else {},
    )


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


def _constants(data: StudyData, bank: SegmentBank) -> dict[str, CohortConstants]:
    """All segments of a cohort have the same: those of its first one."""
    cohorts = data.segments.table["cohort"].to_numpy()
    names = [store.cohort.name for store in data.stores]
    first = {name: int(np.argmax(cohorts == name)) for name in names if (cohorts == name).any()}
    return {
        name: CohortConstants(offset=bank.offset[row].tolist(), scale=bank.scale[row].tolist())
        for name, row in first.items()
    }


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
        If there is no encoder, or it does not say.
    """
    section = read_model(folder).get(_SECTION)
    if section is None:
        raise StoreError(
            f"{folder / MODEL_FILE} does not say what the encoder's input is (rate, channels, normalisation). Encoders "
            "that `ppgssl pretrain` makes say it: pretrain it again, or add it with `save_input_description`."
        )
    try:
        return InputDescription.model_validate(section)
    except ValidationError as error:
        raise StoreError(
            f"{folder / MODEL_FILE}: `{_SECTION}` is no description of an encoder's input: {error}"
        ) from None


def segment_bank(segments: StudySegments, described: InputDescription) -> SegmentBank:
    """Segments normalised as an input description says.

    The constants of normalisation ``cohort`` are those of the labelled cohort, which all patients to be predicted
    belong to, or stand in for.
    """
    if described.normalisation != "cohort":
        affine = normalise(
            described.normalisation,
            moments=lambda: segments.moments,
            baseline=segments.baseline,
            is_present=segments.is_present,
            cohort=np.zeros(len(segments.table), dtype=np.int64),
            is_training=np.ones(len(segments.table), dtype=bool),
            fixed=described.fixed,
            channels=described.channel_names,
        )
        offset, scale = affine.offset, affine.scale
    else:
        constants = next(iter(described.cohorts.values()))
        offset, scale = (
            np.where(segments.is_present, np.array(values, dtype=np.float32), absent).astype(np.float32)
            for values, absent in ((constants.offset, 0.0), (constants.scale, 1.0))
        )
    return make_bank(
        segments.samples,
        segments.table["start"].to_numpy(),
        segments.length,
        offset,
        scale,
        samples_sha256=segments.samples_sha256,
    )
