"""How sure the answer is, in words: precision, validation, calibration, defects of the data, sensitivity."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ppgssl.core.results.base import Interval
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.document import Text
from ppgssl.report.text import rounding
from ppgssl.report.text.claims import FEW_EVENTS, VERY_FEW_EVENTS, n_rare, verdict
from ppgssl.report.text.families import reference_words
from ppgssl.report.text.limitations import is_adjusted
from ppgssl.report.text.rounding import enumeration, plural, short

_MOST_NAMED = 3


def certainty(results: Results) -> tuple[Text, ...]:
    """How sure this is: numbers of events, validation, calibration, data defects, sensitivity."""
    bullets = (
        _precision(results),
        _validation(results),
        _calibration(results),
        _data_cautions(results),
        _sensitivity(results),
    )
    return tuple(bullet for bullet in bullets if bullet)


def _precision(results: Results) -> Text:
    rare = n_rare(results)
    parts = ["The intervals say what other samples of such patients could have given."]
    if rare < FEW_EVENTS:
        group = f"With {plural(rare, 'tested patient')} in the smaller outcome group"
        if rare < VERY_FEW_EVENTS:
            parts.append(f"{group}, even the intervals are rough, and one patient more could change the answer;")
        else:
            parts.append(f"{group}, results are imprecise;")
        parts.append(f"at least {FEW_EVENTS} are advised.")
    return " ".join([*parts, *_sample_size(results)])


def _sample_size(results: Results) -> list[str]:
    size = results.sample_size
    if size is None or size.is_enough:
        return []
    needed = f"{plural(size.n_required, 'patient')} with {plural(size.n_events_required, 'event')}"
    return [
        f"The cohort is smaller than the minimum to develop the model “{size.model}” (Riley): {needed} would be "
        f"needed, {rounding.count(size.n_available)} with {rounding.count(size.n_events_available)} there are."
    ]


def _validation(results: Results) -> Text:
    n_comparisons = sum(arm.difference is not None for arm in results.arms)
    parts = [_scheme(results)]
    if is_adjusted(results):
        parts.append(f"Claims allow for the {n_comparisons} comparisons with {reference_words(results)} (Holm).")
    elif n_comparisons > 3:
        parts.append(f"With {n_comparisons} comparisons, one “significant” difference may be due to chance.")
    parts += [short(note.rstrip("."), 160) + "." for note in results.validation.notes[:2]]
    return " ".join(parts)


def _scheme(results: Results) -> str:
    validation = results.validation
    if validation.scheme == "single-split":
        return (
            f"A single split of the patients was tested ({plural(validation.n_test_patients, 'test patient')}): "
            "another split could give quite another result."
        )
    if validation.scheme == "leave-one-site-out":
        return (
            f"Patients of each of {plural(len(validation.sites) or validation.n_folds, 'site')} were predicted by "
            "models fitted to the other sites."
        )
    if validation.scheme == "predictions":
        return (
            f"Risks of {plural(validation.n_test_patients, 'patient')} were read from a file. Whether a model had seen "
            "the patients whom it predicts cannot be checked here: if it had, its numbers are too good."
        )
    if validation.scheme == "external":
        return (
            f"A model made elsewhere, and frozen, predicted {plural(validation.n_test_patients, 'patient')} whom it "
            "had not seen. The intervals show chance in these patients, not in those it was fitted to."
        )
    return (
        f"Every patient was predicted by models that were not fitted on them ({validation.n_folds}-fold "
        f"cross-validation, {plural(validation.n_repeats, 'repeat')})."
    )


def _calibration(results: Results) -> Text:
    """Arms whose calibration slope leaves 1 out: their risks cannot be used as they are."""
    judged = [(arm, arm.calibration.slope) for arm in results.arms if arm.calibration is not None]
    if not any(verdict(slope) != "undefined" for _, slope in judged):
        return ""
    extreme = [pair for pair in judged if verdict(pair[1], 1.0) == "lower"]
    timid = [pair for pair in judged if verdict(pair[1], 1.0) == "higher"]
    if not extreme and not timid:
        return "In every arm the interval of the calibration slope holds 1, the ideal; this does not prove risks right."
    parts = [
        f"{words} in {_slopes(pairs)}"
        for words, pairs in (("too extreme (slope below 1)", extreme), ("too timid (slope above 1)", timid))
        if pairs
    ]
    return f"Predicted risks were {'; and '.join(parts)}: they would need recalibration before any use."


def _slopes(pairs: Sequence[tuple[ArmResult, Interval]]) -> str:
    shown = [f"“{arm.label}” ({rounding.interval_words(slope)})" for arm, slope in pairs[:2]]
    rest = [plural(len(pairs) - 2, "more arm")] if len(pairs) > 2 else []
    return enumeration([*shown, *rest])


def _data_cautions(results: Results) -> Text:
    kinds = list(dict.fromkeys(finding.kind.heading for finding in results.findings if finding.severity == "caution"))
    shortcuts = [
        check for check in results.acquisition if check.threshold is not None or verdict(check.auroc, 0.5) == "higher"
    ]
    parts: list[str] = []
    if leaks := [check for check in results.leakage if check.n_shared]:
        parts.append(f"Tested patients had been seen in training: {_quoted(check.what for check in leaks)}.")
    if kinds:
        parts.append(f"The data check raised {plural(len(kinds), 'caution')}: {_quoted(kinds)}.")
    if shortcuts:
        names = _quoted(check.name for check in shortcuts)
        parts.append(f"How signals were acquired may give the outcome away: {names}.")
    return " ".join(parts)


def _quoted(words: Iterable[str]) -> str:
    shown = list(dict.fromkeys(words))
    rest = [f"{len(shown) - _MOST_NAMED} more"] if len(shown) > _MOST_NAMED else []
    return enumeration([*(f"“{short(word)}”" for word in shown[:_MOST_NAMED]), *rest])


def _sensitivity(results: Results) -> Text:
    validation, decimals = results.validation, rounding.auroc_decimals(results)
    pairs = [(arm, arm.auroc_sensitivity) for arm in results.arms if arm.auroc_sensitivity is not None]
    changes = [
        (abs(value.estimate - arm.auroc.estimate), arm, value)
        for arm, value in pairs
        if value.estimate is not None and arm.auroc.estimate is not None
    ]
    if validation.sensitivity is None or not changes:
        return ""
    _, arm, value = max(changes, key=lambda change: change[0])
    who = short(validation.sensitivity.rstrip("."), 90)
    return (
        f"Sensitivity analysis ({who}; {rounding.count(validation.sensitivity_n_patients)} patients): the largest "
        f"change was in “{arm.label}”, from {rounding.number(arm.auroc.estimate, decimals)} to "
        f"{rounding.number(value.estimate, decimals)}."
    )
