"""The summary of an external validation in words: what a frozen model is worth here, and whether its risks hold."""

from __future__ import annotations

from collections.abc import Sequence

from ppgssl.core.results.performance import ArmResult, Calibration
from ppgssl.core.results.study import Results
from ppgssl.report.document import Ref, Strong, Text
from ppgssl.report.text import rounding
from ppgssl.report.text.claims import TOO_FEW_EVENTS, Verdict, n_rare, verdict
from ppgssl.report.text.rounding import plural


def headline(results: Results) -> str:
    """The answer in two or three sentences."""
    if n_rare(results) < TOO_FEW_EVENTS:
        return (
            f"These patients cannot tell whether the model works here: {plural(n_rare(results), 'patient')} in the "
            f"smaller outcome group are too few to claim anything (fewer than {TOO_FEW_EVENTS})."
        )
    return f"{_discrimination(results)} {_agreement(results)} {_likeness(results)}"


def question(results: Results, channels: Sequence[str]) -> Text:  # noqa: ARG001 (as the words of a study)
    """What was asked."""
    return (
        f"{results.description} How well does it tell which patients have the outcome “{results.outcome_label}” "
        f"(event: “{results.event_label}”), and do as many have the event as its risks say? {_prevalence(results)} The "
        "AUROC is the chance that a patient with the event gets a higher risk than one without (0.5 is guessing, 1 is "
        "perfect)."
    )


def findings(results: Results) -> tuple[Text, ...]:
    """A bullet each for discrimination, calibration, recalibration and differences of the patients."""
    frozen, *others = results.arms
    bullets: list[Text] = [(Strong("Discrimination."), f" AUROC {rounding.interval(frozen.auroc)}.")]
    if frozen.calibration is not None:
        bullets.append((Strong("Calibration of the frozen risks."), f" {_numbers(frozen.calibration)}"))
    bullets += [
        (Strong(f"{_short(arm)}."), f" {_numbers(arm.calibration)} {_brier(frozen, arm)}")
        for arm in others
        if arm.calibration is not None
    ]
    if not others:
        bullets.append((Strong("Recalibration."), " None could be offered: " + " ".join(results.validation.notes[1:])))
    if results.shift:
        bullets.append((Strong("Patients."), f" {_likeness(results)} See ", Ref("table-shift"), "."))
    return tuple(bullets)


def _prevalence(results: Results) -> str:
    validation = results.validation
    return f"{rounding.n_percent(validation.n_events, validation.n_patients)} of its patients had the event."


def _discrimination(results: Results) -> str:
    words: dict[Verdict, str] = {
        "higher": "The frozen model tells patients apart better than guessing here",
        "lower": "The frozen model orders patients the wrong way round here",
        "unclear": "The frozen model was not shown to tell patients apart here",
        "undefined": "Whether the frozen model tells patients apart is not defined here",
    }
    auroc = results.arms[0].auroc
    return f"{words[verdict(auroc, 0.5)]} (AUROC {rounding.interval_words(auroc)})."


def _agreement(results: Results) -> str:
    found = results.arms[0].calibration
    if found is None:
        return "Whether its risks agree with what happened was not assessed."
    words: dict[Verdict, str] = {
        "higher": "On the whole its risks are too low",
        "lower": "On the whole its risks are too high",
        "unclear": "That its risks are too high or too low on the whole was not shown",
        "undefined": "Whether its risks are too high or too low on the whole is not defined",
    }
    extreme = verdict(found.slope, 1.0)
    spread = {"lower": ", and they are too extreme", "higher": ", and they are too timid"}.get(extreme, "")
    needs = verdict(found.intercept, 0.0) in ("higher", "lower") or bool(spread)
    after = ": recalibrate it before any use here" if needs else ""
    return f"{words[verdict(found.intercept, 0.0)]}{spread}{after}."


def _likeness(results: Results) -> str:
    beyond = [one for one in results.shift if one.is_warning]
    if not beyond:
        return "No quantity was shown to differ much from the training patients'."
    verb = "differs" if len(beyond) == 1 else "differ"
    return (
        f"{plural(len(beyond), 'quantity', 'quantities')} of {len(results.shift)} {verb} from the training patients' "
        "by much, and by more than chance."
    )


def _numbers(found: Calibration) -> str:
    return (
        f"In the large {rounding.interval(found.intercept, signed=True)}, where 0 is ideal; slope "
        f"{rounding.interval(found.slope)}, where 1 is ideal."
    )


def _brier(frozen: ArmResult, arm: ArmResult) -> str:
    if frozen.brier is None or arm.brier is None:
        return ""
    return f"Brier score {rounding.number(arm.brier.estimate, 3)}, of the frozen model {_frozen(frozen)}."


def _frozen(frozen: ArmResult) -> str:
    return rounding.number(frozen.brier.estimate if frozen.brier else None, 3)


def _short(arm: ArmResult) -> str:
    return arm.label.split(":", maxsplit=1)[0]
