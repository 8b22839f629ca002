"""What representations predict, compared."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ppgssl.core.results.base import Difference, Interval, ResultSchema


class ProbeRepresentation(ResultSchema):
    """One way to describe a segment by numbers."""

    name: str
    label: str
    kind: Literal["ssl", "baseline"]
    parts: dict[str, int] = Field(description="Parts assessed alone -> features; `depth-1` is the shallowest map.")
    own_part: str = Field(description="The part that stands for a segment in the study's arms.")
    warnings: list[str] = Field([], description="What went wrong, such as a collapse, and with which encoder.")


class ProbeQuantity(ResultSchema):
    """Something that a representation should predict, of the patients of one cohort."""

    cohort: str
    name: str = Field(description="For example `heart_rate`; `retrieval` and `outcome` are the tasks of those names.")
    label: str
    unit: str = ""
    source: str = Field("", description="Where the true values come from, in words.")
    n_patients: int = Field(description="Patients with a value.")
    n_unknown: int = Field(0, description="Patients of the cohort without one, who were left out.")
    n_segments: int = Field(0, description="Segments with a value, of a quantity of `probe.references`; 0 of others.")
    n_unmatched: int = Field(0, description="Intervals of `probe.references` that belong to no accepted segment.")
    is_measured: bool = Field(description="False where too few patients have a value, or all have the same.")
    mean: float | None = None
    sd: float | None = Field(None, description="Between patients, or the segments of all; null for tasks.")
    chance: dict[str, float] = Field({}, description="Statistic -> what features that know nothing reach.")


class ProbeMeasure(ResultSchema):
    """One statistic of one part of a representation."""

    cohort: str
    quantity: str
    statistic: Literal["r2", "r2_within", "mae", "top1", "reciprocal_rank", "auroc"]
    representation: str
    part: str
    value: Interval
    differences: list[Difference] = Field([], description="Of SSL, from each baseline on the same patients.")


class ProbeResults(ResultSchema):
    """What ``ppgssl probe`` found."""

    made_of: str = Field(description="Fingerprint of all that decided it.")
    n_folds: int
    n_repeats: int
    n_bootstrap: int
    n_draws: int = Field(description="Pairs of segments drawn for each patient of the retrieval.")
    segment_s: float
    seconds: float
    representations: list[ProbeRepresentation]
    quantities: list[ProbeQuantity]
    measures: list[ProbeMeasure]
