"""Sentences that follow from numbers, by rules: what may be claimed depends on the interval, never on the estimate.

An improvement is claimed only where the whole 95 % interval of a paired difference lies above zero. Where it spans
zero the sentence says that no difference was shown, which is not the same as equality.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from ppgssl.arms import ARMS
from ppgssl.report import rounding
from ppgssl.report.document import Ref, Strong, Text
from ppgssl.report.families import reference_arm, ssl_arms
from ppgssl.report.rounding import enumeration, plural
from ppgssl.results import ArmResult, Interval, Results

Verdict = Literal["higher", "lower", "unclear", "undefined"]

FEW_EVENTS = 100
"""Below this many events a validation is imprecise (Collins, Ogundimu and Altman, Stat Med 35:214-26, 2016)."""


def verdict(value: Interval | None, null: float = 0.0) -> Verdict:
    """Where the interval lies: ``higher`` and ``lower`` leave ``null`` out, ``unclear`` contains it."""
    low, high = (None, None) if value is None else (value.ci_low, value.ci_high)
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return "undefined"
    return "higher" if low > null else "lower" if high < null else "unclear"


# --- one arm ---------------------------------------------------------------------------------------------------


def chance_words(arm: ArmResult) -> str:
    """What the AUROC of one arm says against guessing."""
    words: dict[Verdict, str] = {
        "higher": "better than guessing",
        "lower": "below guessing: cross-validation does this to a model without information, or the data have a defect",
        "unclear": "not shown to be better than guessing",
        "undefined": "without an interval, so that nothing can be claimed",
    }
    return words[verdict(arm.auroc, 0.5)]


def is_reference_of_use(results: Results) -> bool:
    """Whether a difference to the covariates arm can show added value: not where that arm itself lies below 0.5.

    A model without information falls below 0.5 in cross-validation, since what it learns by chance from training
    patients is reversed in those left out; whatever is compared with it then looks like an improvement.
    """
    arm = reference_arm(results)
    return arm is not None and arm.auroc.estimate is not None and arm.auroc.estimate >= 0.5


def _named(arms: Sequence[ArmResult]) -> str:
    return enumeration(f"“{arm.label}”" for arm in arms)


def _signal_only(results: Results) -> list[ArmResult]:
    return [arm for arm in ssl_arms(results) if not ARMS[arm.name].covariates and arm.learner == "logistic"]


def _added(results: Results) -> list[ArmResult]:
    return [arm for arm in ssl_arms(results) if ARMS[arm.name].covariates]


def _networks(results: Results) -> list[ArmResult]:
    return [arm for arm in results.arms if arm.learner == "network"]


# --- headline --------------------------------------------------------------------------------------------------


def headline(results: Results) -> str:
    """The answer in two or three sentences, for a reader who reads no further."""
    return " ".join(
        part for part in (_main_answer(results), _pretraining_answer(results), _transductive(results)) if part
    )


def _main_answer(results: Results) -> str:
    if reference_arm(results) is None:
        return _answer_without_covariates(results)
    if not is_reference_of_use(results):
        return (
            "The clinical covariates of this study did not predict the outcome, so a difference to them is not a sign "
            f"of added value. {_against_chance(results)}"
        )
    added = _added(results)
    if not added:
        return _answer_signals_alone(results)
    better = [arm for arm in added if verdict(arm.difference) == "higher"]
    worse = [arm for arm in added if verdict(arm.difference) == "lower"]
    what = "Adding self-supervised signal features to the clinical covariates"
    if better and len(better) == len(added):
        return f"{what} improved the prediction{_unless_untrained(better)}."
    if better:
        return (
            f"{what} improved the prediction in {len(better)} of {len(added)} arms ({_named(better)})"
            f"{_unless_untrained(better)}. In the others "
            + (f"no improvement was shown, and {_named(worse)} did worse." if worse else "no improvement was shown.")
        )
    if worse:
        return f"{what} was not shown to improve the prediction, and made it worse in {_named(worse)}."
    if all(verdict(arm.difference) == "undefined" for arm in added):
        return f"{what} was not shown to improve the prediction: the difference is not defined for these data."
    return f"{what} was not shown to improve the prediction: no interval of the difference lies above zero."


def _unless_untrained(better: Sequence[ArmResult]) -> str:
    """A gain that an untrained encoder gives as well is no merit of self-supervised learning."""
    unproven = [arm for arm in better if verdict(arm.difference_to_untrained) != "higher"]
    if not unproven:
        return ""
    return "; but features of an encoder that had learnt nothing were not shown to do less" + (
        f" (for {_named(unproven)})" if len(unproven) < len(better) else ""
    )


def _answer_signals_alone(results: Results) -> str:
    arms = _signal_only(results) or ssl_arms(results)
    if not arms:
        return "No arm of this study uses self-supervised features."
    better = [arm for arm in arms if verdict(arm.difference) == "higher"]
    if better:
        return f"{_named(better)} predicted better than the clinical covariates."
    return "No arm with self-supervised features was shown to predict better than the clinical covariates."


def _answer_without_covariates(results: Results) -> str:
    answer = _against_chance(results)
    if not any(verdict(arm.auroc, 0.5) == "higher" for arm in ssl_arms(results)):
        return answer
    return (
        f"{answer} The study has no arm with clinical covariates, so it does not show whether signals add anything to "
        "what is known without them."
    )


def _against_chance(results: Results) -> str:
    """Which arms with SSL did better than guessing."""
    arms = ssl_arms(results)
    if not arms:
        return "No arm of this study uses self-supervised features."
    better = [arm for arm in arms if verdict(arm.auroc, 0.5) == "higher"]
    if not better:
        return "No arm with self-supervised features was shown to predict the outcome better than guessing."
    which = "Every arm" if len(better) == len(arms) else f"{len(better)} of {len(arms)} arms"
    return f"{which} with self-supervised features predicted better than guessing."


def _pretraining_answer(results: Results) -> str:
    """Whether self-supervised learning itself helped: SSL against the same arm with an untrained encoder."""
    arms = [arm for arm in ssl_arms(results) if arm.difference_to_untrained is not None]
    if not arms:
        return (
            ""
            if not ssl_arms(results)
            else ("Whether pretraining helped cannot be said: no arm with SSL was compared with an untrained encoder.")
        )
    better = [arm for arm in arms if verdict(arm.difference_to_untrained) == "higher"]
    worse = [arm for arm in arms if verdict(arm.difference_to_untrained) == "lower"]
    harm = f" It did worse in {_named(worse)}." if worse else ""
    if not better:
        return f"No arm with SSL was shown to beat the same arm with an untrained encoder.{harm}"
    if len(better) == len(arms):
        return "Pretraining helped: every arm with SSL beat the same arm with an untrained encoder."
    return (
        f"SSL beat the untrained encoder in {len(better)} of {len(arms)} comparisons, {_named(better)}.{harm}"
        if (len(better) == 1)
        else f"SSL beat the untrained encoder in {len(better)} of {len(arms)} comparisons.{harm}"
    )


def _transductive(results: Results) -> str:
    arms = [arm for arm in results.arms if arm.is_transductive]
    if not arms:
        return ""
    which = _named(arms) if len(arms) <= 2 else plural(len(arms), "arm")
    return f"Caution: in {which} pretraining had seen the signals of test patients, so the AUROC may be optimistic."


# --- summary ---------------------------------------------------------------------------------------------------


def signal_words(channels: Sequence[str]) -> str:
    """``pulse-oximeter signals``, or what the channels say."""
    kinds = {channel.split("_", 1)[0] for channel in channels}
    if kinds == {"ppg"}:
        return "pulse-oximeter (photoplethysmography) signals"
    return "electrocardiograms" if kinds == {"ecg"} else "pulse-oximeter signals and electrocardiograms"


def question(results: Results, channels: Sequence[str]) -> Text:
    """What was asked, of whom, and how an answer is measured."""
    validation = results.validation
    labels = results.covariate_labels
    covariates = f"clinical covariates ({enumeration(labels)})" if labels else "clinical covariates"
    beside = f" alone, and beside {covariates}," if reference_arm(results) else ""
    return (
        f"Do {signal_words(channels)},{beside or ' alone,'} tell which patients have the outcome "
        f"“{results.outcome_label}” (event: “{results.event_label}”)? "
        f"{rounding.n_percent(validation.n_events, validation.n_patients)} of "
        f"{plural(validation.n_patients, 'patient')} had the event. Self-supervised learning (SSL) lets a network "
        "learn what pulses look like from recordings without outcomes; what it learnt was then used for the "
        "prediction. Each way to predict, called an arm, was judged by its AUROC: the chance that a patient with the "
        "event gets a higher predicted risk than one without (0.5 is guessing, 1 is perfect).",
    )


def findings(results: Results) -> tuple[Text, ...]:
    """What was found: one bullet for each kind of arm, each claim with its numbers."""
    bullets = (
        _reference_finding(results),
        _group_finding(results, "SSL features alone.", _signal_only(results)),
        _group_finding(results, "SSL features beside the covariates.", _added(results)),
        _group_finding(results, "Networks trained end to end.", _networks(results)),
        _control_finding(results),
    )
    return tuple(bullet for bullet in bullets if bullet)


def _reference_finding(results: Results) -> Text:
    arm, decimals = reference_arm(results), rounding.auroc_decimals(results)
    if arm is None:
        return ""
    brackets = "Below, brackets hold the difference in AUROC to this arm, with its 95% interval."
    alone = "Below, arms are therefore judged against guessing, and not against this arm."
    return (
        Strong("Covariates alone. "),
        f"AUROC {rounding.interval(arm.auroc, decimals)}, {chance_words(arm)}. "
        f"{brackets if is_reference_of_use(results) else alone}",
    )


_AGAINST_COVARIATES: dict[Verdict, str] = {
    "higher": "Better than the covariates",
    "unclear": "Not shown to differ from the covariates",
    "lower": "Worse than the covariates",
    "undefined": "Not comparable with the covariates",
}
_AGAINST_CHANCE: dict[Verdict, str] = {
    "higher": "Better than guessing",
    "unclear": "Not shown to be better than guessing",
    "lower": "Worse than guessing",
    "undefined": "Without an interval",
}
_MOST_NAMED = 4


def _group_finding(results: Results, title: str, arms: Sequence[ArmResult]) -> Text:
    """Arms of one kind by verdict, each with its numbers."""
    if not arms:
        return ""
    has_reference, decimals = is_reference_of_use(results), rounding.auroc_decimals(results)
    sentences = []
    for kind, words in (_AGAINST_COVARIATES if has_reference else _AGAINST_CHANCE).items():
        members = [arm for arm in arms if _verdict_of(arm, has_reference) == kind]
        numbers = "; ".join(_numbers(arm, decimals, has_reference) for arm in members[:_MOST_NAMED])
        more = f"; and {plural(len(members) - _MOST_NAMED, 'more arm')}" if len(members) > _MOST_NAMED else ""
        if members:
            sentences.append(f"{words}: {numbers}{more}.")
    return (Strong(f"{title} "), " ".join(sentences))


def _verdict_of(arm: ArmResult, has_reference: bool) -> Verdict:
    return verdict(arm.difference) if has_reference else verdict(arm.auroc, 0.5)


def _numbers(arm: ArmResult, decimals: int, has_reference: bool) -> str:
    if not has_reference:
        return f"{arm.label} {rounding.interval(arm.auroc, decimals)}"
    estimate = rounding.number(arm.auroc.estimate, decimals)
    if verdict(arm.difference) == "undefined":
        return f"{arm.label} {estimate}"
    return f"{arm.label} {estimate} [{rounding.interval(arm.difference, decimals, signed=True)}]"


def _control_finding(results: Results) -> Text:
    decimals = rounding.auroc_decimals(results)
    controls = [arm for arm in results.arms if arm.is_control][:4]
    if not controls:
        return (
            Strong("Controls. "),
            "The study has no control arm: how much needs no learning from signals is not known.",
        )
    numbers = "; ".join(f"{arm.label} {rounding.interval(arm.auroc, decimals)}" for arm in controls)
    return (Strong("Controls. "), f"{numbers}.", *_untrained_words(results))


def _untrained_words(results: Results) -> tuple[str | Ref, ...]:
    """Which arms with SSL beat the same arm with an untrained encoder."""
    compared = [arm for arm in ssl_arms(results) if arm.difference_to_untrained is not None]
    if not compared:
        return ()
    better = [arm for arm in compared if verdict(arm.difference_to_untrained) == "higher"]
    which = "no arm" if not better else "every arm" if len(better) == len(compared) else _named(better)
    only = "only " if 0 < len(better) < len(compared) else ""
    return (
        f" SSL was shown to beat the same arm with an untrained encoder {only}in {which} (",
        Ref("table-untrained"),
        ").",
    )


def certainty(results: Results) -> tuple[Text, ...]:
    """How sure this is: numbers of events, validation, data defects, sensitivity."""
    bullets = (_precision(results), _validation(results), _data_cautions(results), _sensitivity(results))
    return tuple(bullet for bullet in bullets if bullet)


def _precision(results: Results) -> Text:
    validation = results.validation
    rare = min(validation.n_events, validation.n_patients - validation.n_events)
    base = "The intervals say what other samples of such patients could have given."
    if rare >= FEW_EVENTS:
        return base
    few = f"With {plural(rare, 'patient')} in the smaller outcome group, results are imprecise"
    return f"{base} {few}; at least {FEW_EVENTS} are advised."


def _validation(results: Results) -> Text:
    validation = results.validation
    if validation.scheme == "single-split":
        how = (
            f"A single split of the patients was tested ({plural(validation.n_test_patients, 'test patient')}): "
            "another split could give quite another result."
        )
    else:
        how = (
            f"Every patient was predicted by models that were not fitted on them ({validation.n_folds}-fold "
            f"cross-validation, {plural(validation.n_repeats, 'repeat')}). The intervals do not show how much the "
            "result depends on the training patients."
        )
    n_comparisons = sum(arm.difference is not None for arm in results.arms)
    many = (
        f" With {n_comparisons} comparisons, one “significant” difference may be due to chance."
        if n_comparisons > 3
        else ""
    )
    return how + many


def _data_cautions(results: Results) -> Text:
    kinds = list(dict.fromkeys(finding.kind for finding in results.findings if finding.severity == "caution"))
    shortcuts = [
        check for check in results.acquisition if check.threshold is not None or verdict(check.auroc, 0.5) == "higher"
    ]
    parts: list[str] = []
    if kinds:
        shown = enumeration(
            [f"“{kind}”" for kind in kinds[:3]] + ([f"{len(kinds) - 3} more"] if len(kinds) > 3 else [])
        )
        parts.append(f"The data check raised {plural(len(kinds), 'caution')}: {shown}.")
    if shortcuts:
        names = enumeration(f"“{check.name}”" for check in shortcuts[:3])
        parts.append(f"How signals were acquired may give the outcome away: {names}.")
    return " ".join(parts)


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
    who = validation.sensitivity.rstrip(".")
    return (
        f"Sensitivity analysis ({who}; {rounding.count(validation.sensitivity_n_patients)} patients): the largest "
        f"change was in “{arm.label}”, from {rounding.number(arm.auroc.estimate, decimals)} to "
        f"{rounding.number(value.estimate, decimals)}."
    )


def not_shown(results: Results) -> tuple[Text, ...]:
    """What the analysis cannot show, whatever its numbers."""
    bullets = [
        "Not whether predictions help patients, nor which risk should lead to which action: calibration and clinical "
        "benefit were not assessed.",
        "Not how well this works elsewhere: patients, devices and outcomes of one source were split; no other source "
        "was tested.",
        "Not why: a model may use traces of the device, the site or the moment of recording instead of physiology.",
    ]
    if any(arm.is_transductive for arm in results.arms):
        bullets.append("Not, for arms marked †, how well patients unknown to the encoder are predicted.")
    return tuple(bullets)


# --- limitations -----------------------------------------------------------------------------------------------


def limitations(results: Results) -> tuple[Text, ...]:
    """Limitations for the statistician; each holds for these results."""
    validation = results.validation
    bullets: list[Text] = [
        "Percentile bootstrap intervals treat the predictions as given: they reflect the sampling of patients to be "
        "predicted, not of those the models were fitted on, and they and the p-values are not adjusted for multiple "
        "comparisons.",
        "Discrimination alone was assessed (AUROC). Calibration, decision thresholds and net benefit were not.",
        "Validation is internal: training and test patients come from the same source.",
    ]
    if validation.scheme == "single-split":
        bullets.append("One split alone was tested; its result depends on which patients were drawn.")
    else:
        bullets.append(
            "Predictions of one repeat of the cross-validation come from models that share training patients, and so "
            "are not independent."
        )
    bullets += _reference_limitations(results)
    if any(arm.is_transductive for arm in results.arms):
        names = _named([arm for arm in results.arms if arm.is_transductive])
        bullets.append(f"Transductive pretraining: the encoder of {names} had seen test patients' signals.")
    if validation.n_bootstrap_skipped:
        skipped = rounding.n_percent(validation.n_bootstrap_skipped, validation.n_bootstrap)
        bullets.append(f"The AUROC was not defined in {skipped} of the bootstrap resamples, which were left out.")
    if any(verdict(arm.auroc) == "undefined" for arm in results.arms):
        bullets.append("Some statistics are not defined for these data and print as an en dash.")
    return tuple(bullets)


def _reference_limitations(results: Results) -> list[Text]:
    bullets: list[Text] = []
    if reference_arm(results) is None:
        bullets.append("There is no arm with clinical covariates to compare with.")
    missing = [row.label for row in results.table_one if row.overall.n_missing]
    if missing:
        names = enumeration([*list(dict.fromkeys(missing))[:6], *(["others"] if len(set(missing)) > 6 else [])])
        bullets.append(
            f"Missing values ({names}) were filled in by single imputation, whose uncertainty is not carried on."
        )
    if results.acquisition:
        bullets.append(
            "Acquisition checks look at a few simple properties; the absence of a finding proves no absence of "
            "shortcuts."
        )
    return bullets
