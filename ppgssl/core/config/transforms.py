"""Functions of one number that a clinical variable may be used as, such as its logarithm."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from ppgssl.core.schema import Schema, named


class Log10Transform(Schema):
    """``intercept + slope * log10(offset + factor * value)`` takes the place of a value.

    The saturation virtual shunt, which grows evenly with the severity of illness where SpO2 does not, is
    ``68.864 * log10(103.711 - SpO2) - 52.110``: Zhou et al., A transformation of oxygen saturation (the saturation
    virtual shunt) to improve clinical prediction model calibration and interpretation, Pediatric Research 2019,
    doi 10.1038/s41390-019-0525-2.
    """

    name: Literal["log10"]
    offset: float = Field(0.0, allow_inf_nan=False)
    factor: float = Field(1.0, allow_inf_nan=False)
    slope: float = Field(1.0, allow_inf_nan=False)
    intercept: float = Field(0.0, allow_inf_nan=False)
    unit: str = Field("", description="Unit of the values in the table; the variable's `unit` goes here by itself.")

    @field_validator("factor", "slope")
    @classmethod
    def _depends_on_the_value(cls, value: float) -> float:
        if value == 0:
            raise ValueError("must not be 0: every patient would have the same value")
        return value

    def __call__(self, value: float) -> float:
        """The number that is used, of a value for which ``offset + factor * value`` is above 0."""
        return self.intercept + self.slope * math.log10(self.offset + self.factor * value)

    def range_of(self, written: tuple[float, float]) -> tuple[float, float]:
        """Smallest and largest number that is used, of values between two ends, both included.

        Raises
        ------
        ValueError
            If the logarithm, or a number that is used, is not defined at one of the ends.
        """
        for end in written:
            argument = self.offset + self.factor * end
            if not 0 < argument < math.inf:
                raise ValueError(
                    f"`transform` takes the logarithm of {argument:g} at {end:g}, an end of the `range`, and there is "
                    "none: give a narrower `range`, or another `offset`"
                )
        first, last = self(written[0]), self(written[1])
        if not math.isfinite(first + last):
            raise ValueError("`transform` makes numbers of the `range` that are too large")
        return min(first, last), max(first, last)

    def words(self, label: str) -> str:
        """The formula with a label in the place of the value; a label that is the formula already stays as it is."""
        slope = {1.0: "", -1.0: "-"}.get(self.slope, f"{self.slope:.10g} ")
        size = "" if abs(self.factor) == 1 else f"{abs(self.factor):.10g} "
        sign = " - " if self.factor < 0 else " + "
        start = f"{self.offset:.10g}{sign}" if self.offset else sign.strip(" +")
        end = f" {'-' if self.intercept < 0 else '+'} {abs(self.intercept):.10g}" if self.intercept else ""
        before, after = f"{slope}log10({start}{size}", f"){end}"
        if label.startswith(before) and label.endswith(after):
            return label
        return f"{before}{label}{f' in {self.unit}' if self.unit else ''}{after}"

    def is_as(self, other: Log10Transform) -> bool:
        """Whether both make the same number of every value; units are not compared."""
        return self.model_copy(update={"unit": ""}) == other.model_copy(update={"unit": ""})


Transform = Annotated[Log10Transform | None, BeforeValidator(named)]
