"""The first page in words: sentences that follow from numbers, by the rules of ``claims.py``."""

from __future__ import annotations

from collections.abc import Sequence

from ppgssl.core.results.performance import AddedValue, ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.document import Ref, Strong, Text
from ppgssl.report.text import rounding
from ppgssl.report.text.claims import (
    TOO_FEW_EVENTS,
    Verdict,
    chance_claim,
    claim,
    is_lost_to_adjustment,
    is_reference_of_use,
    n_rare,
    named,
    verdict,
)
from ppgssl.report.text.families import (
    COVARIATES_SSL,
    HAND_MADE_SSL,
    LEARNERS,
    NETWORKS,
    SSL_ALONE,
    arm_label,
    family,
    reference_arm,
    ssl_arms,
)
from ppgssl.report.text.rounding import enumeration, plural, short

_MOST_NAMED = 2


def _of_family(results: Results, *families: str) -> list[ArmResult]:
    return [arm for arm in results.arms if family(arm) in families]


def _added(results: Results) -> list[ArmResult]:
    """Arms of covariates and SSL features alone, by whatever learner."""
    return [arm for arm in ssl_arms(results) if arm.clinical == "covariates" and not arm.is_beside_hand_made]


def _covariates_claim(results: Results) -> Verdict:
    arm = reference_arm(results)
    return "undefined" if arm is None else chance_claim(results, arm)


# --- headline --------------------------------------------------------------------------------------------------


def headline(results: Results) -> str:
    """The answer in two or three sentences, for a reader who reads no further."""
    if n_rare(results) < TOO_FEW_EVENTS:
        return _too_few(results)
    parts = (_main_answer(results), _pretraining_answer(results), _weak_reference(results), _transductive(results))
    return " ".join(part for part in parts if part)


def _too_few(results: Results) -> str:
    return (
        f"This study cannot answer its question: {plural(n_rare(results), 'tested patient')} in the smaller outcome "
        f"group are too few to claim anything (fewer than {TOO_FEW_EVENTS}). The numbers below describe these patients "
        "and are no evidence about others."
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
    better = [arm for arm in added if claim(results, arm.difference) == "higher"]
    worse = [arm for arm in added if claim(results, arm.difference) == "lower"]
    what = "Adding self-supervised signal features to the clinical covariates"
    if better and len(better) == len(added):
        return f"{what} improved the prediction{_unless_untrained(results, better)}."
    if better:
        return (
            f"{what} improved the prediction in {len(better)} of {len(added)} arms ({named(better)})"
            f"{_unless_untrained(results, better)}. In the others "
            + (f"no improvement was shown, and {named(worse)} did worse." if worse else "no improvement was shown.")
        )
    if worse:
        return f"{what} was not shown to improve the prediction, and made it worse in {named(worse)}."
    return f"{what} was not shown to improve the prediction: {_why_not(added)}."


def _why_not(arms: Sequence[ArmResult]) -> str:
    """Why a comparison gives no claim."""
    if all(verdict(arm.difference) == "undefined" for arm in arms):
        return "the difference is not defined for these data"
    if any(is_lost_to_adjustment(arm.difference) for arm in arms):
        return "no difference stands once the number of comparisons is taken into account"
    return "no interval of the difference leaves zero out"


def _unless_untrained(results: Results, better: Sequence[ArmResult]) -> str:
    """A gain that an untrained encoder gives as well is no merit of self-supervised learning."""
    unproven = [arm for arm in better if claim(results, arm.difference_to_untrained) != "higher"]
    if not unproven:
        return ""
    return "; but features of an encoder that had learnt nothing were not shown to do less" + (
        f" (in {len(unproven)} of them)" if len(unproven) < len(better) else ""
    )


def _answer_signals_alone(results: Results) -> str:
    arms = _of_family(results, SSL_ALONE) or ssl_arms(results)
    if not arms:
        return "No arm of this study uses self-supervised features."
    better = [arm for arm in arms if claim(results, arm.difference) == "higher"]
    if better:
        return f"{named(better)} predicted better than the clinical covariates."
    return "No arm with self-supervised features was shown to predict better than the clinical covariates."


def _answer_without_covariates(results: Results) -> str:
    answer = _against_chance(results)
    if not any(chance_claim(results, arm) == "higher" for arm in ssl_arms(results)):
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
    better = [arm for arm in arms if chance_claim(results, arm) == "higher"]
    if not better:
        return "No arm with self-supervised features was shown to predict the outcome better than guessing."
    which = "Every arm" if len(better) == len(arms) else f"{len(better)} of {len(arms)} arms"
    return f"{which} with self-supervised features predicted better than guessing."


def _pretraining_answer(results: Results) -> str:
    """Whether self-supervised learning itself helped: SSL against the same arm with an untrained encoder."""
    arms = [arm for arm in ssl_arms(results) if arm.difference_to_untrained is not None]
    if not ssl_arms(results):
        return ""
    if not arms:
        return "Whether pretraining helped cannot be said: no arm with SSL was compared with an untrained encoder."
    better = [arm for arm in arms if claim(results, arm.difference_to_untrained) == "higher"]
    worse = [arm for arm in arms if claim(results, arm.difference_to_untrained) == "lower"]
    harm = f" It did worse in {named(worse)}." if worse else ""
    if not better:
        return f"No arm with SSL was shown to beat the same arm with an untrained encoder.{harm}"
    if len(better) == len(arms):
        return "Pretraining helped: every arm with SSL beat the same arm with an untrained encoder."
    which = f", {named(better)}" if len(better) == 1 else ""
    return f"SSL beat the untrained encoder in {len(better)} of {len(arms)} comparisons{which}.{harm}"


def _weak_reference(results: Results) -> str:
    """Covariates that were not shown to beat guessing are a low bar."""
    if not is_reference_of_use(results) or _covariates_claim(results) == "higher":
        return ""
    return "The clinical covariates themselves were not shown to be better than guessing."


def _transductive(results: Results) -> str:
    arms = [arm for arm in results.arms if arm.is_transductive]
    if not arms:
        return ""
    which = named(arms) if len(arms) <= 2 else plural(len(arms), "arm")
    return f"Caution: in {which} pretraining had seen the signals of test patients, so the AUROC may be optimistic."


# --- what was asked --------------------------------------------------------------------------------------------


def signal_words(channels: Sequence[str]) -> str:
    """``pulse-oximeter signals``, or what the channels say."""
    kinds = {channel.split("_", 1)[0] for channel in channels}
    if kinds == {"ppg"}:
        return "pulse-oximeter (photoplethysmography) signals"
    return "electrocardiograms" if kinds == {"ecg"} else "pulse-oximeter signals and electrocardiograms"


def question(results: Results, channels: Sequence[str]) -> Text:
    """What was asked, of whom, and how an answer is measured."""
    validation, labels = results.validation, results.covariate_labels
    covariates = f"clinical covariates ({enumeration(_first(labels, 6))})" if labels else "clinical covariates"
    beside = f" alone, and beside {covariates}," if reference_arm(results) else ""
    return (
        f"Do {signal_words(channels)},{beside or ' alone,'} tell which patients have the outcome "
        f"“{short(results.outcome_label)}” (event: “{short(results.event_label)}”)? "
        f"{rounding.n_percent(validation.n_events, validation.n_patients)} of "
        f"{plural(validation.n_patients, 'patient')} had the event. Self-supervised learning (SSL) lets a network "
        "learn what pulses look like from recordings without outcomes. Each way to predict, called an arm, was judged "
        "by its AUROC: the chance that a patient with the event gets a higher predicted risk than one without (0.5 is "
        "guessing, 1 is perfect).",
    )


def _first(words: Sequence[str], most: int) -> list[str]:
    shown = [short(word, 40) for word in words]
    return shown if len(shown) <= most else [*shown[: most - 1], f"{len(shown) - most + 1} more"]


# --- what was found --------------------------------------------------------------------------------------------


def findings(results: Results) -> tuple[Text, ...]:
    """What was found: one bullet for each kind of arm, each claim with its numbers."""
    bullets = (
        _reference_finding(results),
        _group_finding(results, "SSL features alone.", _of_family(results, SSL_ALONE)),
        _group_finding(results, "SSL features beside the covariates.", _of_family(results, COVARIATES_SSL)),
        _hand_made_finding(results),
        _learner_finding(results),
        _group_finding(results, "Networks trained end to end.", _of_family(results, NETWORKS)),
        _control_finding(results),
        _net_benefit_finding(results),
    )
    return tuple(bullet for bullet in bullets if bullet)


def chance_words(results: Results, arm: ArmResult) -> str:
    """What the AUROC of one arm says against guessing."""
    words: dict[Verdict, str] = {
        "higher": "better than guessing",
        "lower": "below guessing: cross-validation does this to a model without information, or the data have a defect",
        "unclear": "not shown to be better than guessing",
        "undefined": "without an interval, so that nothing can be claimed",
    }
    return words[chance_claim(results, arm)]


def _reference_finding(results: Results) -> Text:
    arm, decimals = reference_arm(results), rounding.auroc_decimals(results)
    if arm is None:
        return ""
    brackets = "Below, brackets hold the difference in AUROC to this arm, with its 95% interval."
    alone = "Below, arms are therefore judged against guessing, and not against this arm."
    return (
        Strong("Covariates alone. "),
        f"AUROC {rounding.interval(arm.auroc, decimals)}, {chance_words(results, arm)}. "
        f"{brackets if is_reference_of_use(results) else alone}",
    )


_AGAINST_COVARIATES: dict[Verdict, str] = {
    "higher": "Better than the covariates",
    "unclear": "No evidence of a difference to the covariates",
    "lower": "Worse than the covariates",
    "undefined": "Not comparable with the covariates",
}
_AGAINST_CHANCE: dict[Verdict, str] = {
    "higher": "Better than guessing",
    "unclear": "Not shown to be better than guessing",
    "lower": "Worse than guessing",
    "undefined": "Without an interval",
}


def _group_finding(results: Results, title: str, arms: Sequence[ArmResult]) -> Text:
    """Arms of one kind by verdict, each with its numbers."""
    if not arms:
        return ""
    has_reference, decimals = is_reference_of_use(results), rounding.auroc_decimals(results)
    sentences = []
    for kind, words in (_AGAINST_COVARIATES if has_reference else _AGAINST_CHANCE).items():
        members = [arm for arm in arms if _verdict_of(results, arm, has_reference) == kind]
        if members:
            sentences.append(f"{words}: {_listed(members, decimals, has_reference)}.")
    lost = [arm for arm in arms if has_reference and is_lost_to_adjustment(arm.difference)]
    if lost:
        sentences.append(
            f"The interval of {named(lost)} leaves zero out, but its p-value, adjusted for the number of comparisons, "
            "is no evidence."
        )
    return (Strong(f"{title} "), " ".join(sentences))


_BEYOND_HAND_MADE: dict[Verdict, str] = {
    "higher": "Better than the same arm without SSL features",
    "unclear": "No evidence of a difference to the same arm without SSL features",
    "lower": "Worse than the same arm without SSL features",
    "undefined": "Not comparable with the same arm without SSL features",
}


def _hand_made_finding(results: Results) -> Text:
    """What SSL features add to hand-made ones; where the latter have no arm of their own, how both do together."""
    arms = [arm for arm in ssl_arms(results) if arm.difference_to_hand_made is not None]
    if not arms:
        return _group_finding(results, f"{HAND_MADE_SSL}.", _of_family(results, HAND_MADE_SSL))
    sentences = []
    for kind, words in _BEYOND_HAND_MADE.items():
        members = [arm for arm in arms if claim(results, arm.difference_to_hand_made) == kind]
        if members:
            sentences.append(f"{words}: {_listed_beyond(members, rounding.auroc_decimals(results))}.")
    return (Strong(f"{HAND_MADE_SSL}. "), f"{' '.join(sentences)} See ", Ref("table-hand-made"), ".")


def _listed_beyond(arms: Sequence[ArmResult], decimals: int) -> str:
    shown = arms if len(arms) <= _MOST_NAMED + 1 else arms[:_MOST_NAMED]
    numbers = "; ".join(
        f"{arm.label} [{rounding.interval(arm.difference_to_hand_made, decimals, signed=True)}]" for arm in shown
    )
    return numbers + (f"; and {plural(len(arms) - len(shown), 'more arm')}" if len(arms) > len(shown) else "")


def _learner_finding(results: Results) -> Text:
    """Covariates and SSL features by another learner or by late fusion: how many were better, in a few words."""
    arms = [arm for arm in _added(results) if family(arm) == LEARNERS]
    if not arms or not is_reference_of_use(results):
        return ""
    better = [arm for arm in arms if claim(results, arm.difference) == "higher"]
    if not better:
        found = f"No evidence that any of {plural(len(arms), 'such arm')} was better than the covariates."
    else:
        found = f"Better than the covariates: {len(better)} of {plural(len(arms), 'such arm')} ({named(better)})."
    return (Strong("The same by other learners, or late fusion. "), found)


def _verdict_of(results: Results, arm: ArmResult, has_reference: bool) -> Verdict:
    return claim(results, arm.difference) if has_reference else chance_claim(results, arm)


def _listed(arms: Sequence[ArmResult], decimals: int, has_reference: bool) -> str:
    shown = arms if len(arms) <= _MOST_NAMED + 1 else arms[:_MOST_NAMED]
    numbers = "; ".join(_numbers(arm, decimals, has_reference) for arm in shown)
    return numbers + (f"; and {plural(len(arms) - len(shown), 'more arm')}" if len(arms) > len(shown) else "")


def _numbers(arm: ArmResult, decimals: int, has_reference: bool) -> str:
    if not has_reference:
        return f"{arm.label} {rounding.interval(arm.auroc, decimals)}"
    estimate = rounding.number(arm.auroc.estimate, decimals)
    if verdict(arm.difference) == "undefined":
        return f"{arm.label} {estimate}"
    return f"{arm.label} {estimate} [{rounding.interval(arm.difference, decimals, signed=True)}]"


def _control_finding(results: Results) -> Text:
    decimals = rounding.auroc_decimals(results)
    controls = [arm for arm in results.arms if arm.is_control]
    if not controls:
        return (
            Strong("Controls. "),
            "The study has no control arm: how much needs no learning from signals is not known.",
        )
    return (Strong("Controls. "), f"{_listed(controls, decimals, False)}.", *_untrained_words(results))


def _untrained_words(results: Results) -> tuple[str | Ref, ...]:
    """Which arms with SSL beat the same arm with an untrained encoder."""
    compared = [arm for arm in ssl_arms(results) if arm.difference_to_untrained is not None]
    if not compared:
        return ()
    better = [arm for arm in compared if claim(results, arm.difference_to_untrained) == "higher"]
    which = "no arm" if not better else "every arm" if len(better) == len(compared) else named(better)
    only = "only " if 0 < len(better) < len(compared) else ""
    return (
        f" SSL was shown to beat the same arm with an untrained encoder {only}in {which} (",
        Ref("table-untrained"),
        ").",
    )


def _net_benefit_finding(results: Results) -> Text:
    """Whether signals change the net benefit of decisions, at the thresholds of the study."""
    rows = [row for row in results.added_value if row.reference == "covariates" and row.net_benefit]
    if not rows or not is_reference_of_use(results):
        return ""
    better = [row for row in rows if any(claim(results, one) == "higher" for one in row.net_benefit)]
    thresholds = enumeration(
        rounding.risk(threshold) for threshold in sorted({value for row in rows for value in row.thresholds})
    )
    if not better:
        return (
            Strong("Decisions. "),
            f"No evidence that SSL features beside the covariates add net benefit at {thresholds} risk.",
        )
    return (Strong("Decisions. "), f"Net benefit was higher than that of the covariates {_where(results, better)}.")


def _where(results: Results, rows: Sequence[AddedValue]) -> str:
    parts = []
    for row in rows[:_MOST_NAMED]:
        pairs = zip(row.thresholds, row.net_benefit, strict=True)
        where = enumeration(rounding.risk(at) for at, value in pairs if claim(results, value) == "higher")
        parts.append(f"for “{arm_label(results, row.arm)}” at {where}")
    return enumeration(parts) + (
        f", and in {plural(len(rows) - _MOST_NAMED, 'more arm')}" if len(rows) > _MOST_NAMED else ""
    )


# --- what is not shown -----------------------------------------------------------------------------------------


def not_shown(results: Results) -> tuple[Text, ...]:
    """What the analysis cannot show, whatever its numbers."""
    bullets = [_use(results), _elsewhere(results)]
    bullets.append(
        "Not why: a model may use traces of the device, the site or the moment of recording instead of physiology."
    )
    if any(arm.is_transductive for arm in results.arms):
        bullets.append("Not, for arms marked †, how well patients unknown to the encoder are predicted.")
    return tuple(bullets)


def _use(results: Results) -> str:
    if any(arm.decision_curve for arm in results.arms):
        return "Not whether predictions help patients: nobody was treated by them, and net benefit is arithmetic."
    lacking = "clinical benefit was" if any(arm.calibration for arm in results.arms) else "calibration and benefit were"
    return f"Not whether predictions help patients, nor which risk should lead to which action: {lacking} not assessed."


def _elsewhere(results: Results) -> str:
    if results.validation.scheme == "leave-one-site-out":
        return "Not how well this works at sites, and with devices, that are not among those of this study."
    if results.validation.scheme == "external":
        return "Not how well this works at places, and with devices, other than those of this cohort."
    return "Not how well this works elsewhere: one source of patients, devices and outcomes was split."
