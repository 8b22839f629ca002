"""What a run tells of the signalling questions of PROBAST+AI: an answer, and the numbers that it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from ppgssl.core.results.study import Results
from ppgssl.report.document import Cite, Text
from ppgssl.report.text import rounding
from ppgssl.report.text.claims import FEW_EVENTS, TOO_FEW_EVENTS, n_rare
from ppgssl.report.text.facts import (
    has_calibration,
    measures,
    network_arms,
    patients_left_out,
    regression_arms,
    scheme_words,
    uses_covariates,
)
from ppgssl.report.text.families import reference_arm
from ppgssl.report.text.methods import configuration
from ppgssl.report.text.rounding import enumeration, plural

FOR_THE_READER: Final = "For the reader"
AnswerName = Literal["Yes", "Probably yes", "Probably no", "No", "No information", "Not applicable", "For the reader"]


@dataclass(frozen=True)
class Reply:
    """An answer in the words of PROBAST+AI, and why; ``For the reader`` is none, and its reason what may help."""

    answer: AnswerName
    reason: Text


Rule = Callable[[Results], Reply]


# --- participants, predictors, outcome -------------------------------------------------------------------------


def _representative(results: Results) -> Reply:
    lost = sum(item.n for item in patients_left_out(results))
    share = rounding.n_percent(lost, lost + results.validation.n_patients)
    return Reply(FOR_THE_READER, f"The analysis left out {f'{share} of the patients' if lost else 'no patient'}.")


def _preprocessing(results: Results) -> Reply:
    labelled = next(flow for flow in results.flow if flow.role == "labelled")
    return Reply(
        "Yes",
        f"All {plural(labelled.n_recordings, 'recording')} of the labelled cohort went through the same filters, "
        "segments and rules of quality, of one configuration.",
    )


def _shortcuts(results: Results) -> Reply:
    """Whether predictors were measured blind is not in the data; what the raw signal gives away is."""
    suspects = [
        check
        for check in results.acquisition
        if check.threshold is not None or (check.auroc.ci_low is not None and check.auroc.ci_low > 0.5)
    ]
    signals = "Signal features are computed without the outcome. "
    if not suspects:
        return Reply("No information", f"{signals}Who measured what, and knowing what, is not in the data.")
    names = enumeration(f"“{check.name}”" for check in suspects[:3])
    return Reply(
        "No information",
        f"{signals}But properties of acquisition tell patients apart ({names}), as if recordings had been made "
        "differently.",
    )


def _outcome_apart(results: Results) -> Reply:
    outcome = results.outcome
    defining = [
        variable.label or name
        for cohort in configuration(results).cohorts
        if cohort.clinical is not None
        for name, variable in cohort.clinical.variables.items()
        if outcome in variable.defines
    ]
    if not defining:
        return Reply(FOR_THE_READER, "The description of the data names no variable that defines the outcome.")
    return Reply(
        "No information",
        f"What defines the outcome ({enumeration(dict.fromkeys(defining))}) is kept out of the covariates; what its "
        "assessors knew is not in the data.",
    )


# --- analysis of development -----------------------------------------------------------------------------------


def _development_size(results: Results) -> Reply:
    size = results.sample_size
    if size is None:
        return Reply("No information", "No minimum sample size was computed.")
    needed = (
        f"“{size.model}” has {plural(size.n_parameters, 'parameter')}, "
        f"{rounding.number(size.n_events_available / max(size.n_parameters, 1), 1)} events for each; the minimum",
        Cite(("riley2020",)),
        f" is {plural(size.n_required, 'patient')} with {plural(size.n_events_required, 'event')}, and there are "
        f"{rounding.count(size.n_available)} with {rounding.count(size.n_events_available)}.",
    )
    if not size.is_enough:
        return Reply("No", needed)
    larger = [arm for arm in results.arms if arm.n_features is None or arm.n_features > size.n_parameters]
    if not larger:
        return Reply("Yes", needed)
    most = max((arm.n_features for arm in larger if arm.n_features is not None), default=0)
    with_what = enumeration(
        [*([f"up to {plural(most, 'column')}"] if most else []), *(["networks"] if network_arms(larger) else [])], "or"
    )
    return Reply(
        "Probably no",
        (
            *needed,
            f" But {plural(len(larger), 'arm')}, with {with_what}, {'learns' if len(larger) == 1 else 'learn'} more, "
            "for which no minimum is known; penalties do not replace patients.",
        ),
    )


def _handling(results: Results) -> Reply:
    if not regression_arms(results.arms):
        return Reply("Probably yes", "Networks take the signals as they are; no variable is cut into classes.")
    trees = any(arm.learner == "gradient-boosting" for arm in results.arms)
    curves = "; gradient boosting finds curves by itself" if trees else ", and no arm allows curves"
    return Reply(
        "Probably yes",
        f"No variable was cut into classes by the analysis. Effects are linear in the logit in regressions{curves}.",
    )


def _missing_development(results: Results) -> Reply:
    return _missing(results, "")


def _missing_evaluation(results: Results) -> Reply:
    return _missing(results, " It was learnt from training patients alone.")


def _missing(results: Results, more: str) -> Reply:
    lost = results.missing
    excluded = _excluded(results)
    if lost is None:
        words = "What was missing is not told." if uses_covariates(results) else f"No arm uses covariates. {excluded}"
        return Reply("No information", words)
    share = rounding.n_percent(lost.n_patients - lost.n_complete, lost.n_patients)
    if lost.n_complete == lost.n_patients:
        return Reply("Probably yes", f"No covariate is missing. {excluded}")
    if lost.method == "mice":
        return Reply(
            "Probably yes",
            f"{share} lack a covariate: {lost.n_imputations} imputations by chained equations.{more} {excluded}",
        )
    return Reply(
        "Probably no",
        f"{share} lack a covariate, filled in once by median or most frequent level, which hides the uncertainty."
        f"{more} {excluded}",
    )


def _excluded(results: Results) -> str:
    n = sum(item.n for item in patients_left_out(results))
    return f"{plural(n, 'patient')} {'was' if n == 1 else 'were'} left out beforehand." if n else ""


def _recalibrated(results: Results) -> Reply:
    n = len(network_arms(results.arms))
    if not n:
        return Reply("Not applicable", "No arm corrects for class imbalance.")
    reported = ", and calibration is reported" if has_calibration(results) else ""
    return Reply(
        "Yes",
        f"{plural(n, 'network arm draws', 'network arms draw')} both outcomes equally often; risks were put back to "
        f"the prevalence of the training patients{reported}.",
    )


def _overfitting(results: Results) -> Reply:
    measures = [
        *(
            ["penalties, priors or small trees, with settings chosen within training patients"]
            if regression_arms(results.arms)
            else []
        ),
        *(["early stopping on patients who were not trained on"] if network_arms(results.arms) else []),
        *(["bootstrap correction of optimism"] if results.optimism else []),
    ]
    slopes = [one.calibration_slope for one in results.optimism if one.calibration_slope is not None]
    shrinkage = (
        f" The corrected calibration slope is {rounding.number(min(slopes), 2)} at the lowest." if slopes else ""
    )
    return Reply("Yes", f"{enumeration(measures).capitalize()}.{shrinkage}")


# --- analysis of evaluation ------------------------------------------------------------------------------------


def _not_apparent(results: Results) -> Reply:
    return Reply("Yes", f"Every risk is of a patient whom its model was not fitted to: {scheme_words(results)}.")


def _evaluation_size(results: Results) -> Reply:
    rare, validation = n_rare(results), results.validation
    about = "about " if validation.n_test_patients < validation.n_patients else ""
    known = [arm for arm in (reference_arm(results), *results.arms) if arm is not None and arm.auroc.ci_low is not None]
    width = f" The AUROC of “{known[0].label}” is {rounding.interval(known[0].auroc, 2)}." if known else ""
    return Reply(
        "Probably yes" if rare >= FEW_EVENTS else "Probably no" if rare >= TOO_FEW_EVENTS else "No",
        (
            f"The smaller outcome group of those tested has {about}{plural(rare, 'patient')}; at least {FEW_EVENTS} "
            "are advised",
            Cite(("collins2016",)),
            f".{width}",
        ),
    )


def _uncorrected(results: Results) -> Reply:
    if not network_arms(results.arms):
        return Reply("Not applicable", "No arm corrects for class imbalance.")
    validation = results.validation
    return Reply(
        "Yes",
        f"Test patients are as they are: {rounding.n_percent(validation.n_events, validation.n_patients)} with the "
        "event. Balanced drawing is confined to training.",
    )


def _leakage(results: Results) -> Reply:
    transductive = [arm for arm in results.arms if arm.is_transductive]
    shared = [check for check in results.leakage if check.n_shared]
    if transductive:
        return Reply(
            "No",
            f"Pretraining of {plural(len(transductive), 'arm')} had seen the signals of test patients, though no "
            "outcomes.",
        )
    if shared:
        return Reply("No", f"Shared with test patients: {enumeration(check.what for check in shared)}.")
    if not results.leakage:
        return Reply("Probably yes", "Patients were split before anything was fitted; no check is on record.")
    n = sum(check.n_checked for check in results.leakage)
    if results.validation.scheme == "external":
        return Reply("Yes", "No patient tested, and no recording, is known to the model; those known were left out.")
    return Reply(
        "Yes",
        f"Split by patients; {plural(len(results.leakage), 'check')} of fitted parts and recordings against test "
        f"patients ({plural(n, 'comparison')}) found none shared.",
    )


def _replicated(results: Results) -> Reply:
    if results.validation.scheme == "single-split":
        return Reply("Not applicable", "One split; nothing was resampled to evaluate.")
    if results.validation.scheme == "external":
        return Reply("Not applicable", "The model was frozen: nothing was fitted to evaluate it.")
    if any(arm.is_transductive for arm in results.arms):
        return Reply("No", "Encoders were pretrained once, on test patients' signals too; all else was repeated.")
    encoders = " Encoders without test patients were pretrained once." if _is_disjoint(results) else ""
    bootstrap = " The bootstrap beside it is of arms without pretraining on these patients." if results.optimism else ""
    return Reply(
        "Yes",
        "In every split anew: imputation, scaling, choice of hyperparameters and fit"
        f"{', and pretraining' if results.pretraining and not encoders else ''}.{encoders}{bootstrap}",
    )


def _is_disjoint(results: Results) -> bool:
    return any(run.exposure == "disjoint" for run in results.pretraining)


def _measures(results: Results) -> Reply:
    has = measures(results)
    shown = [name for name, is_there in has.items() if is_there]
    missing = [name for name, is_there in has.items() if not is_there]
    if not missing:
        return Reply("Yes", f"{enumeration(shown).capitalize()}, with intervals that resample patients.")
    found = f"{enumeration(shown).capitalize()} alone" if shown else "Nothing"
    return Reply("No" if "calibration" in missing else "Probably no", f"{found}; not {enumeration(missing, 'nor')}.")


ANSWERS: dict[str, Rule] = {
    "1.3": _representative,
    "2.2": _preprocessing,
    "2.3": _shortcuts,
    "3.3": _outcome_apart,
    "4.1 development": _development_size,
    "4.2 development": _handling,
    "4.3 development": _missing_development,
    "4.4 development": _recalibrated,
    "4.5 development": _overfitting,
    "4.1 evaluation": _not_apparent,
    "4.2 evaluation": _evaluation_size,
    "4.3 evaluation": _missing_evaluation,
    "4.4 evaluation": _uncorrected,
    "4.5 evaluation": _leakage,
    "4.6 evaluation": _replicated,
    "4.7 evaluation": _measures,
}
