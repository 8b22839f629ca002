"""How the encoders were pretrained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from ppgssl.core.results.base import ResultSchema


class CurvePoint(ResultSchema):
    step: int
    train_loss: float | None
    validation_loss: float | None


class Reconstruction(ResultSchema):
    """A segment of a held-out patient, what the encoder saw of it, and what came back."""

    cohort: str
    channel: str
    fs_hz: float
    original: list[float]
    is_masked: list[bool]
    reconstruction: list[float]


class PretrainingRun(ResultSchema):
    """One encoder source (``ssl-labelled`` or ``ssl-all``), over all the folds it was trained for."""

    encoder: str
    label: str
    exposure: Literal["per-fold", "disjoint", "transductive"]
    n_encoders: int
    n_patients: int = Field(description="Training patients, of the first encoder.")
    n_segments: int
    n_parameters: int
    curves: list[list[CurvePoint]] = Field(description="One curve an encoder.")
    score_name: str = Field("", description="What `score` is, for example variance explained of hidden samples.")
    score: float | None = Field(None, description="Of the pretext task on held-out patients, mean over encoders.")
    effective_rank: float | None = Field(None, description="Of the held-out representation, mean over encoders.")
    seconds: float
    device: str
    warnings: list[str] = Field([], description="What went wrong, such as a collapse, and with which encoder.")
    hardware: dict[str, Any] = Field({}, description="Of the first encoder: processor, GPU, precision, ...")
    cpu_joules: float | None = Field(
        None,
        description="Energy of all processors and their memory, summed over encoders, of which those trained side by "
        "side each count the others, too; null where it is not counted.",
    )
    gpu_joules: float | None = Field(None, description="Energy of the GPUs, summed over encoders.")
    energy_note: str = Field("", description="What was not counted, and why.")
    reconstructions: list[Reconstruction] = Field(default_factory=list)
