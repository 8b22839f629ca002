"""A number with its interval, and the difference of two."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from ppgssl.core.schema import Schema


class ResultSchema(Schema):
    # Non-finite numbers are not JSON: what is not defined is null.
    model_config = ConfigDict(frozen=False, ser_json_inf_nan="null")


class Interval(ResultSchema):
    """An estimate with its 95 % interval; null where the statistic is not defined."""

    estimate: float | None
    ci_low: float | None
    ci_high: float | None


class Difference(Interval):
    """A paired difference, and its two-sided bootstrap p-value."""

    p_value: float | None
    p_adjusted: float | None = Field(None, description="By Holm over the arms with the same kind of reference.")
    reference: str = Field(description="Name of the arm that is subtracted.")
