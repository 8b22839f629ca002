"""What the results say to each item of TRIPOD+AI that a pipeline can know about; the others have no answer here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ppgssl.core.results.study import Results
from ppgssl.report.text import rounding
from ppgssl.report.text.facts import (
    has_calibration,
    measures,
    patients_left_out,
    regression_arms,
    scheme_words,
    uses_covariates,
)
from ppgssl.report.text.families import reference_arm
from ppgssl.report.text.methods import configuration
from ppgssl.report.text.rounding import enumeration, plural

METHODS = "section-methods"


@dataclass(frozen=True)
class Answer:
    """What the report says to one item.

    Attributes
    ----------
    text : str
    places : tuple of str
        Labels of sections, tables and figures that may hold it, the best first; without any, it needs none.
    status : {"reported", "partly", "not applicable"}
        ``partly`` leaves the rest to the author.
    left : str
        What is left to the author; by default what the item says.
    """

    text: str
    places: tuple[str, ...]
    status: Literal["reported", "partly", "not applicable"] = "reported"
    left: str = ""


Rule = Callable[[Results], Answer | None]
_LIMITATIONS = Answer(
    "Limitations that follow from the numbers.",
    ("section-limitations",),
    "partly",
    "What they do to results and their generality.",
)
_INTERPRETATION = Answer(
    "What was found, how sure it is, and what it does not show.",
    ("section-summary",),
    "partly",
    "Earlier studies, and fairness.",
)
_CODE = Answer(
    "Versions of the software, and the whole configuration.",
    ("section-provenance", "section-appendix-full-configuration"),
    "partly",
)
_UPDATING = Answer("no model was updated.", (), "not applicable")
_ABSTRACT = Answer("A summary of one page in plain words.", ("section-summary",), "partly")


def _title(results: Results) -> Answer | None:
    return Answer(f"The title of the study is “{results.title}”.", ("section-summary",), "partly")


def _objectives(results: Results) -> Answer | None:
    if results.validation.scheme == "external":
        return Answer("A model made elsewhere is evaluated on another cohort.", ("section-summary",))
    how = "on sites left out in turn" if results.validation.scheme == "leave-one-site-out" else "internally"
    return Answer(f"Models are developed, compared and evaluated {how}.", ("section-summary",))


# --- data ------------------------------------------------------------------------------------------------------


def _sources(results: Results) -> Answer | None:
    roles = enumeration(f"{flow.title or flow.cohort} ({flow.role})" for flow in results.flow)
    cited = " Their publications are given." if any(flow.citation for flow in results.flow) else ""
    return Answer(f"{roles}.{cited}", ("table-cohorts", "section-cohorts"), "partly")


def _setting(results: Results) -> Answer | None:
    sites = results.validation.sites
    if not sites:
        return None
    return Answer(f"{plural(len(sites), 'site')}: {enumeration(sites)}.", (METHODS,), "partly")


def _eligibility(results: Results) -> Answer | None:
    lost = patients_left_out(results)
    if not lost:
        return None
    reasons = enumeration(f"{item.reason.text} ({rounding.count(item.n)})" for item in lost)
    return Answer(f"Patients whom the analysis left out: {reasons}.", ("figure-flow", "table-exclusions"), "partly")


def _preparation(results: Results) -> Answer | None:
    defects = f" {plural(len(results.findings), 'defect')} of the data met." if results.findings else ""
    return Answer(
        f"Filters, segments and signal quality, by the same rules for all patients of a cohort.{defects}",
        (METHODS, "table-quality", "section-what-the-data-check-met"),
    )


def _outcome(results: Results) -> Answer | None:
    return Answer(
        f"The outcome is “{results.outcome_label}”, the event “{results.event_label}”.", ("section-summary",), "partly"
    )


# --- predictors ------------------------------------------------------------------------------------------------


def _candidates(results: Results) -> Answer | None:
    labels = results.covariate_labels
    chosen = f"The study names {enumeration(labels)}" if labels else "The study names no covariates"
    return Answer(f"{chosen}; signal features are learnt, not chosen.", (METHODS,), "partly")


def _predictors(results: Results) -> Answer | None:
    names = enumeration(channel.name for channel in configuration(results).study.inputs.channels)
    tables = ("table-one", METHODS) if results.table_one else (METHODS,)
    covariates = "Covariates with units and levels; s" if results.covariate_labels else "S"
    return Answer(f"{covariates}ignals as segments of {names}.", tables, "partly")


def _sample_size(results: Results) -> Answer | None:
    size = results.sample_size
    if size is None:
        return None
    enough = "which is enough" if size.is_enough else "which is too few"
    return Answer(
        f"{plural(size.n_available, 'patient')} with {plural(size.n_events_available, 'event')} were available; for "
        f"“{size.model}” ({plural(size.n_parameters, 'parameter')}), {rounding.count(size.n_required)} with "
        f"{rounding.count(size.n_events_required)} are needed, {enough}.",
        ("table-sample-size", METHODS),
    )


_IMPUTATION = {"median": "median or most frequent level", "mice": "multiple imputation by chained equations"}


def _missing(results: Results) -> Answer | None:
    lost = results.missing
    if lost is None:
        return None
    return Answer(
        f"{rounding.n_percent(lost.n_complete, lost.n_patients)} of the patients had every covariate; "
        f"{_IMPUTATION[lost.method]}. Patients without an outcome or an accepted segment were left out.",
        ("table-missing", "table-one", METHODS),
    )


# --- analysis --------------------------------------------------------------------------------------------------


def _partition(results: Results) -> Answer | None:
    if results.validation.scheme == "external":
        return Answer("None: all patients are of another cohort than the model's.", (METHODS,))
    return Answer(f"By patients: {scheme_words(results)}; hyperparameters within training patients.", (METHODS,))


def _handling(results: Results) -> Answer | None:
    if not regression_arms(results.arms):
        return Answer("Signals alone, normalised as described.", (METHODS,))
    return Answer("Numbers as they are, levels as indicators; standardized, none cut into classes.", (METHODS,))


def _building(results: Results) -> Answer | None:
    pretrained = ", pretraining" if results.pretraining else ""
    return Answer(f"Each learner{pretrained}, its hyperparameters, and the internal validation.", (METHODS,))


def _clusters(results: Results) -> Answer | None:
    if results.validation.scheme != "leave-one-site-out":
        return None
    return Answer("Sites were left out in turn.", (METHODS,))


def _measures(results: Results) -> Answer | None:
    has = measures(results)
    shown = [name for name, is_there in has.items() if is_there]
    missing = enumeration(name for name, is_there in has.items() if not is_there)
    if not shown:
        return None
    return Answer(
        f"{enumeration(shown).capitalize()}; arms are compared on the same resamples.",
        (METHODS,),
        "partly" if missing else "reported",
        f"{missing.capitalize()}.",
    )


def _calculation(results: Results) -> Answer | None:
    return Answer(
        f"Risks of patients whom a model had not been fitted to, by ppgssl "
        f"{results.provenance.versions.get('ppgssl', '')} from the configuration in the appendix.".replace("  ", " "),
        (METHODS, "section-provenance", "section-appendix-full-configuration"),
    )


def _imbalance(results: Results) -> Answer | None:
    if len(regression_arms(results.arms)) == len(results.arms):
        return Answer("Nothing was done about it: models learn from patients as they are.", (METHODS,))
    others = "; regressions learn from patients as they are" if regression_arms(results.arms) else ""
    return Answer(
        "Networks draw both outcomes equally often; their risks were corrected to the prevalence of the training "
        f"patients{others}.",
        (METHODS,),
    )


def _fairness(results: Results) -> Answer | None:
    if not results.subgroups:
        return None
    names = enumeration(one.label for one in results.subgroups)
    return Answer(f"Performance is told apart by {names}.", ("table-subgroups", METHODS), "partly")


def _output(results: Results) -> Answer | None:
    points = {point.label: None for arm in results.arms for point in arm.operating_points}
    if not points:
        return Answer("A risk between 0 and 1.", (METHODS,), "partly", "Thresholds, or that none is meant.")
    return Answer(
        f"A risk between 0 and 1; thresholds by {enumeration(points)}.",
        ("table-operating", METHODS),
        "partly",
        "Why these thresholds.",
    )


def _differences(results: Results) -> Answer | None:
    if results.shift:
        return Answer("Covariates, signals and features beside those of the training patients.", ("section-shift",))
    if results.validation.scheme == "leave-one-site-out":
        return None
    return Answer("both are parts of one cohort, drawn at random.", (), "not applicable")


# --- results ---------------------------------------------------------------------------------------------------


def _flow(results: Results) -> Answer | None:
    validation = results.validation
    return Answer(
        f"From files to {plural(validation.n_patients, 'patient')} with {plural(validation.n_events, 'event')}.",
        ("figure-flow", "table-exclusions"),
        "partly",
        "The follow-up.",
    )


def _characteristics(results: Results) -> Answer | None:
    if not results.table_one:
        return None
    n = len({row.variable for row in results.table_one})
    return Answer(f"{plural(n, 'variable')} by outcome, with missing values.", ("table-one",))


def _comparison(results: Results) -> Answer | None:
    if results.validation.scheme != "repeated-kfold":
        return None
    return Answer("under cross-validation every patient is in both parts.", (), "not applicable")


def _numbers(results: Results) -> Answer | None:
    validation = results.validation
    return Answer(
        f"{plural(validation.n_patients, 'patient')}, {plural(validation.n_events, 'event')}; "
        f"{rounding.count(validation.n_test_patients)} with a prediction.",
        ("table-results", "table-cohorts", "table-pretraining"),
    )


def _model(results: Results) -> Answer | None:
    if results.covariate_model is None:
        return None
    return Answer(
        "Odds ratios of the covariates without penalty; the models that predict are not printed.",
        ("table-odds", "figure-odds"),
        "partly",
    )


def _performance(results: Results) -> Answer | None:
    known = [arm for arm in results.arms if arm.auroc.ci_low is not None]
    if not known:
        return None
    has = {"calibration": has_calibration(results), "subgroups": bool(results.subgroups)}
    missing = enumeration(name for name, is_there in has.items() if not is_there)
    return Answer(
        f"{_reference_words(results)}{plural(len(known), 'arm')} with 95% intervals.",
        ("table-results", "figure-calibration", "table-subgroups"),
        "partly" if missing else "reported",
        f"{missing.capitalize()}.",
    )


def _reference_words(results: Results) -> str:
    arm = reference_arm(results)
    if arm is None or arm.auroc.estimate is None:
        return ""
    return f"“{arm.label}”: AUROC {rounding.interval(arm.auroc, rounding.auroc_decimals(results))}. "


def _between_clusters(results: Results) -> Answer | None:
    site = configuration(results).study.validation.site
    if site is None or all(one.variable != site for one in results.subgroups):
        return None
    return Answer("Performance by site.", ("table-subgroups",))


def _poor_input(results: Results) -> Answer | None:
    min_sqi = configuration(results).study.inputs.min_sqi
    imputed = "; missing covariates are filled in" if uses_covariates(results) else ""
    return Answer(
        f"In this study, segments below a quality index of {min_sqi:g} are left out{imputed}.",
        (METHODS, "table-quality"),
        "partly",
        "What is done in use.",
    )


ANSWERS: dict[str, Rule | Answer] = {
    "1": _title,
    "2": _ABSTRACT,
    "4": _objectives,
    "5a": _sources,
    "6a": _setting,
    "6b": _eligibility,
    "7": _preparation,
    "8a": _outcome,
    "9a": _candidates,
    "9b": _predictors,
    "10": _sample_size,
    "11": _missing,
    "12a": _partition,
    "12b": _handling,
    "12c": _building,
    "12d": _clusters,
    "12e": _measures,
    "12f": _UPDATING,
    "12g": _calculation,
    "13": _imbalance,
    "14": _fairness,
    "15": _output,
    "16": _differences,
    "18f": _CODE,
    "20a": _flow,
    "20b": _characteristics,
    "20c": _comparison,
    "21": _numbers,
    "22": _model,
    "23a": _performance,
    "23b": _between_clusters,
    "24": _UPDATING,
    "25": _INTERPRETATION,
    "26": _LIMITATIONS,
    "27a": _poor_input,
}
