"""Methods text, made from what was configured: another configuration gives another text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from ppgssl.core.config import fixed
from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.study import Study
from ppgssl.core.errors import ReportError
from ppgssl.core.records import modality
from ppgssl.core.results.study import Results
from ppgssl.report.document import Heading, Paragraph
from ppgssl.report.text.facts import Facts
from ppgssl.report.text.prose import passages
from ppgssl.report.text.rounding import plural


@dataclass(frozen=True)
class Configuration:
    """The study and its cohorts as they were configured."""

    study: Study
    cohorts: tuple[Cohort, ...]

    @property
    def channels(self) -> list[str]:
        """Cohort channels that may fill an input."""
        return [name for channel in self.study.inputs.channels for name in channel.any_of]


def configuration(results: Results) -> Configuration:
    """The configuration that the results carry; a ``ReportError`` if it is not one of this version."""
    provenance = results.provenance
    try:
        study = Study.model_validate(provenance.study)
        return Configuration(study, tuple(Cohort.model_validate(cohort) for cohort in provenance.cohorts))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "as a whole"
        raise ReportError(
            f"the configuration inside these results is not one of this version ({place}: {first['msg']}). "
            "Run `ppgssl evaluate STUDY.yaml` again."
        ) from None


def methods(results: Results) -> tuple[Heading | Paragraph, ...]:
    """The methods section: ``methods.jinja`` and what it includes, filled in."""
    config = configuration(results)
    study, cohorts = config.study, config.cohorts
    arms = {parse_arm(name).encoder for name in study.arms}
    labelled = {flow.cohort for flow in results.flow if flow.role == "labelled"}
    found = passages(
        "methods",
        results=results,
        facts=Facts(results),
        study=study,
        cohorts=cohorts,
        inputs=study.inputs,
        objective=study.pretraining.objective,
        encoder=study.pretraining.shape,
        fixed=fixed,
        input_words=[f"{channel.name} ({' or '.join(channel.any_of)})" for channel in study.inputs.channels],
        lacking=[(cohort, names) for cohort in cohorts if (names := _lacking(study, cohort))],
        sources=[name for name in ("ssl-labelled", "ssl-all") if name in arms],
        site_words=[f"{site}: {plural(n, 'patient')}" for site, n in results.validation.sites.items()],
        spo2_calibration=next((one.vitals.spo2_polynomial for one in cohorts if one.name in labelled), ()),
        is_uncalibrated=any(one.has_uncalibrated_spo2 for one in cohorts if one.name in labelled),
        bands_hz=_bands_hz,
        may_be_inverted=_may_be_inverted,
        polynomial=_polynomial,
        names=lambda augmentations: [one.name.replace("-", " ") for one in augmentations],
    )
    blocks: list[Heading | Paragraph] = []
    for title, texts in found.items():
        blocks += [Heading(title), *map(Paragraph, texts)] if texts else []
    return tuple(blocks)


def _lacking(study: Study, cohort: Cohort) -> list[str]:
    """Optional inputs that no channel of a cohort fills."""
    return [one.name for one in study.inputs.channels if not set(one.any_of) & set(cohort.signals.channels)]


def _bands_hz(cohort: Cohort) -> dict[str, tuple[float, float]]:
    kinds = dict.fromkeys(modality(name) for name in cohort.signals.channels)
    return {kind: dict(cohort.signal.band_hz).get(kind, fixed.BANDS_HZ[kind]) for kind in kinds}  # type: ignore[call-overload]


def _may_be_inverted(cohort: Cohort) -> bool:
    channels = cohort.signals.channels.items()
    return any(modality(name) == "ppg" and channel.inverted is not False for name, channel in channels)


def _polynomial(coefficients: Sequence[float]) -> str:
    """``110 − 25 R`` of the coefficients 110 and -25."""
    words = f"{coefficients[0]:g}"
    for power, value in enumerate(coefficients[1:], start=1):
        sign = "\u2212" if value < 0 else "+"
        words += f" {sign} {abs(value):g}\u00a0R{'' if power == 1 else '⁰¹²³⁴'[power]}" if value else ""
    return words
