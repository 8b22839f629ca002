"""The methods text of validation and statistics: what was split, refitted, measured and compared in these results."""

from __future__ import annotations

from collections.abc import Sequence

from ppgssl.core.config.study import Study
from ppgssl.core.results.base import Difference
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.document import Cite, Text, runs, sentences
from ppgssl.report.text import rounding
from ppgssl.report.text.facts import regression_arms
from ppgssl.report.text.families import reference_words, ssl_arms
from ppgssl.report.text.rounding import enumeration, plural

# --- validation ------------------------------------------------------------------------------------------------


def validation_methods(results: Results, study: Study) -> list[Text]:
    """Paragraphs on splits, the leakage guard, bootstrap validation and the other refits."""
    texts = [
        sentences(_split(results, study), _same_side(results), _nested(results, study), _leakage(results)),
        sentences(_optimism(results), _stability(results), _learning_curve(results)),
    ]
    return [text for text in texts if text]


def _split(results: Results, study: Study) -> Text:
    validation = study.validation
    if results.validation.scheme == "external":
        return (
            "A model that had been fitted before to other patients was used as it was on "
            f"{plural(results.validation.n_test_patients, 'patient')} of this cohort (external validation",
            Cite(("steyerberg2016",)),
            "). Recordings were treated as those of its training patients had been. Recalibration adds a number to the "
            "logit of the risk (in the large), or multiplies it too (by slope); the recalibrated risk of each patient "
            "is by what the other patients told, in ten parts.",
        )
    if validation.scheme == "single-split":
        return (
            f"Patients were split once, stratified by outcome: {100 * validation.test_fraction:g}% were tested, the "
            "others trained on (the published protocol",
            Cite(("mwaniki2023",)),
            ").",
        )
    if validation.scheme == "leave-one-site-out":
        sites = results.validation.sites
        listed = enumeration(f"{site}: {plural(n, 'patient')}" for site, n in sites.items())
        named = f" ({listed})" if sites else ""
        return (
            f"Each site, as told by the variable “{validation.site}”{named}, was left out in turn: models were fitted "
            "to patients of the other sites and tested on those of that one (internal-external validation",
            Cite(("steyerberg2016",)),
            ").",
        )
    again = f", {validation.n_repeats} times over with other splits" if validation.n_repeats > 1 else ""
    return f"Patients were split by {validation.n_folds}-fold cross-validation, stratified by outcome{again}."


def _same_side(results: Results) -> Text:
    if results.validation.scheme == "external":
        return ""
    return (
        "All segments of a patient were on the same side of a split, as were patients with the same recording, and "
        "splitting came before everything that is fitted. All arms used the same splits."
    )


def _nested(results: Results, study: Study) -> Text:
    if not regression_arms(results.arms) or results.validation.scheme == "external":
        return ""
    outer = "the one split" if study.validation.scheme == "single-split" else "each outer split"
    return (
        f"Hyperparameters were chosen within the training patients of {outer}, by inner folds (nested validation",
        Cite(("varma2006",)),
        ").",
    )


def _leakage(results: Results) -> Text:
    if not results.leakage:
        return ""
    if results.validation.scheme == "external":
        return (
            "Patients were compared with those whom the model had seen by hashes of their identifiers, and recordings "
            "by hashes of their samples",
            Cite(("kapoor2023",)),
            "; patients seen before were left out.",
        )
    asked_for = (
        "; encoders that the study lets see test patients' signals are told of"
        if any(arm.is_transductive for arm in results.arms)
        else ""
    )
    return (
        "Before anybody was tested, the patients of every fitted part (encoders, imputers, scalers, models) were "
        "compared with those to be tested by hashes of their identifiers, and recordings of patients by hashes of "
        "their samples",
        Cite(("kapoor2023",)),
        f"; a patient seen before would have stopped the evaluation{asked_for}.",
    )


def _optimism(results: Results) -> Text:
    if not results.optimism:
        return ""
    return (
        "Regression arms whose features are not learnt from these patients were also fitted anew to "
        f"{_largest(one.n_resamples for one in results.optimism)} bootstrap samples of the patients: Harrell's "
        "correction takes the mean optimism off the apparent AUROC",
        Cite(("harrell1996",)),
        ", and the .632+ estimate weighs it with the AUROC of patients who were not drawn",
        Cite(("efron1997",)),
        "; their intervals are those of the refits' apparent AUROCs, shifted by the correction",
        Cite(("noma2021",)),
        ".",
    )


def _stability(results: Results) -> Text:
    if not results.stability:
        return ""
    return (
        "How stable the risk of one patient is shows in "
        f"{_largest(one.n_refits for one in results.stability)} refits to bootstrap samples of the patients",
        Cite(("riley2023",)),
        ".",
    )


def _learning_curve(results: Results) -> Text:
    if not results.learning_curves:
        return ""
    return (
        "Learning curves show the AUROC of models fitted to random parts of the training patients, with the test "
        "patients left as they are."
    )


def _largest(counts: object) -> str:
    return rounding.count(max(counts))  # type: ignore[call-overload]


# --- statistics ------------------------------------------------------------------------------------------------


def statistics_methods(results: Results, study: Study | None) -> list[Text]:
    """Paragraphs on measures, on intervals and comparisons, and on guidelines."""
    arms = results.arms
    texts = [
        sentences(_discrimination(results), _partial(arms), _auprc(arms), _brier(arms), _calibration(arms)),
        sentences(_thresholds(arms, study), _net_benefit(arms)),
        sentences(_intervals(results), _holm(results), _added_value(results), _subgroups(results)),
        sentences(_odds_ratios(results), _sample_size(results), _embedding_map(results)),
        sentences(_table_one(results), *_guidelines()) if study else "",
    ]
    return [text for text in texts if text]


def _discrimination(results: Results) -> Text:
    pairs: Text = (
        "; patients were compared only where the same model had predicted both"
        + (", and repeats were averaged" if results.validation.n_repeats > 1 else ""),
        Cite(("airola2011",)),
    )
    return (
        "Discrimination is the area under the receiver operating characteristic curve (AUROC), ties counting one half",
        Cite(("hanley1982",)),
        *(() if results.validation.scheme in ("single-split", "external") else pairs),
        ".",
    )


def _partial(arms: Sequence[ArmResult]) -> Text:
    if not any(arm.partial_auroc for arm in arms):
        return ""
    return (
        "The partial AUROC looks at sensitivities of 0.8 to 1 alone, where few patients with the event are missed, "
        "standardized so that 0.5 is guessing",
        Cite(("mcclish1989",)),
        ".",
    )


def _auprc(arms: Sequence[ArmResult]) -> Text:
    if not any(arm.auprc for arm in arms):
        return ""
    return (
        "The area under the precision-recall curve (AUPRC) is the average precision, whose chance level is the "
        "prevalence",
        Cite(("saito2015",)),
        ".",
    )


def _brier(arms: Sequence[ArmResult]) -> Text:
    if not any(arm.brier for arm in arms):
        return ""
    scaled: Text = (
        ("; scaled, it is the share of the Brier score of predicting the prevalence that is saved", "steyerberg2010")
        if any(arm.scaled_brier for arm in arms)
        else ()
    )
    words: Text = (scaled[0], Cite((str(scaled[1]),))) if scaled else ()
    return ("The Brier score is the mean squared error of the risks", Cite(("brier1950",)), *runs(words), ".")


def _calibration(arms: Sequence[ArmResult]) -> Text:
    known = [arm.calibration for arm in arms if arm.calibration]
    if not known:
        return ""
    chance = (
        ", given beside the value that chance would give to risks that are right"
        if any(one.ici_if_perfect is not None for one in known)
        else ""
    )
    return (
        "Calibration is told by the intercept (whether risks are right on average), the slope of the outcome on the "
        "logit of the risk (below 1: risks are too extreme) and a flexible curve",
        Cite(("vancalster2019",)),
        ", a restricted cubic spline of that logit",
        Cite(("harrell2015",)),
        ", whose mean distance from the diagonal is the integrated calibration index",
        Cite(("austin2019",)),
        f"{chance}.",
    )


# --- decisions -------------------------------------------------------------------------------------------------


def _thresholds(arms: Sequence[ArmResult], study: Study | None) -> Text:
    points = [point for arm in arms for point in arm.operating_points]
    rules = {point.rule for point in points}
    chosen: list[Text] = []
    if "youden" in rules:
        chosen.append(("the largest sum of sensitivity and specificity (Youden index", Cite(("youden1950",)), ")"))
    if "sensitivity" in rules and study:
        chosen.append(f"a sensitivity of {_percent(study.decisions.sensitivity)}")
    if not rules:
        return ""
    given = sorted({point.threshold for point in points if point.rule == "given"})
    return sentences(
        (
            "Sensitivity, specificity and predictive values are given at thresholds that were chosen on training "
            "patients, model by model, from risks by models that had not been fitted to them: by ",
            *_listed(chosen),
            ".",
        )
        if chosen
        else "",
        f"Thresholds that the study gave beforehand are risks of {enumeration(map(_percent, given))}." if given else "",
        ("Intervals of these proportions are Wilson's", Cite(("wilson1927",)), ", for thresholds as they are."),
    )


def _listed(texts: Sequence[Text]) -> Text:
    """``a and b`` of texts with citations."""
    return (*runs(texts[0]), *(run for text in texts[1:] for run in (" and ", *runs(text))))


def _percent(risk: float) -> str:
    return f"{100 * risk:g}%"


def _net_benefit(arms: Sequence[ArmResult]) -> Text:
    if not any(arm.decision_curve for arm in arms):
        return ""
    return (
        "Net benefit counts true positives less false positives, weighted by the odds of the risk from which one would "
        "act, per patient",
        Cite(("vickers2006",)),
        "; decision curves compare it with acting for all patients and for none.",
    )


# --- intervals and comparisons ---------------------------------------------------------------------------------


def _intervals(results: Results) -> Text:
    others: list[Text] = []
    if any(arm.auroc_bca for arm in results.arms):
        others.append(("BCa intervals of the same resamples", Cite(("efron1987",))))
    if any(arm.auroc_delong for arm in results.arms):
        others.append(("DeLong intervals on the logit scale", Cite(("delong1988", "sun2014"))))
    return sentences(
        (
            f"The 95% intervals are percentiles of {rounding.count(results.validation.n_bootstrap)} bootstrap "
            "resamples of patients",
            Cite(("efron1993",)),
            ", the same resamples for all arms, so that differences are paired; two-sided p-values come from the same "
            "resamples.",
        ),
        ("Beside them, AUROCs have ", *_listed(others), ".") if others else "",
        _calibration_intervals(results),
    )


def _calibration_intervals(results: Results) -> str:
    if not any(arm.calibration for arm in results.arms):
        return ""
    return (
        "Intervals of calibration intercept and slope are as wide as the percentile intervals and centred on the "
        "estimate; that of the integrated calibration index starts at 0 unless chance alone would seldom give risks "
        "so far off; the bands of calibration curves are the model's."
    )


def _holm(results: Results) -> Text:
    arms = results.arms
    families = {
        reference_words(results): [arm.difference for arm in arms],
        "the untrained encoder": [arm.difference_to_untrained for arm in arms],
        "the clinical input alone": [arm.difference_to_clinical for arm in arms],
        "hand-made features alone": [arm.difference_to_hand_made for arm in arms],
    }
    adjusted = [words for words, members in families.items() if any(map(_is_adjusted, members))]
    if not adjusted:
        return ""
    each = ", each kind of comparison for itself" if len(adjusted) > 1 else ""
    return (
        f"P-values of differences from {enumeration(adjusted)} were adjusted for the number of arms by Holm's method",
        Cite(("holm1979",)),
        f"{each}.",
    )


def _is_adjusted(difference: Difference | None) -> bool:
    return difference is not None and difference.p_adjusted is not None


def _added_value(results: Results) -> Text:
    if not results.added_value:
        return ""
    benefit = " and in net benefit" if any(one.net_benefit for one in results.added_value) else ""
    is_beyond_hand_made = any(arm.difference_to_hand_made for arm in ssl_arms(results))
    to = "a clinical input or to hand-made features" if is_beyond_hand_made else "a clinical input"
    reference = "the arm without them" if is_beyond_hand_made else "the clinical input"
    test: Text = (
        (
            f", and by a likelihood-ratio test of the logit of an arm's risk beside that of {reference}, both "
            "predicted for patients who were not trained on, that counts gains alone",
            *(
                (" and takes the median over repeats", Cite(("vandewiel2009",)))
                if results.validation.n_repeats > 1
                else ()
            ),
        )
        if any(one.lr_chi2 is not None for one in results.added_value)
        else ()
    )
    return (
        f"What SSL features add to {to} is told by the paired difference in AUROC{benefit}",
        *runs(test),
        ".",
    )


def _subgroups(results: Results) -> Text:
    if not results.subgroups:
        return ""
    names = enumeration(one.label for one in results.subgroups)
    test = (
        "; a bootstrap test of interaction asks whether the AUROC is the same in all levels"
        if any(p is not None for one in results.subgroups for p in one.interaction_p.values())
        else ""
    )
    return (
        f"Performance is told apart by {names}{test}. Levels with fewer than 5 patients with or without the event are "
        "not shown."
    )


# --- beside prediction -----------------------------------------------------------------------------------------


def _odds_ratios(results: Results) -> Text:
    if results.covariate_model is None:
        return ""
    firth: Text = (
        ("; where covariates separate the outcomes, by Firth's penalized likelihood", Cite(("firth1993",)))
        if "Firth" in results.covariate_model.note
        else ()
    )
    return (
        "Odds ratios describe the covariates in a logistic regression without penalty, fitted to all patients",
        *runs(firth),
        "; no prediction comes from it.",
    )


def _sample_size(results: Results) -> Text:
    size = results.sample_size
    if size is None:
        return ""
    return (
        f"The minimum sample size to develop a model of {plural(size.n_parameters, 'parameter')} is that of Riley and "
        "others",
        Cite(("riley2020",)),
        f", for a prevalence of {100 * size.prevalence:.1f}% and a Cox-Snell R² of "
        f"{rounding.number(size.r2_cox_snell, 3)} ({size.r2_source}).",
    )


def _embedding_map(results: Results) -> Text:
    methods = list(dict.fromkeys(one.method for one in results.embedding_maps))
    if not methods:
        return ""
    cite = (Cite(("vandermaaten2008",)),) if any("t-SNE" in method for method in methods) else ()
    return (f"Maps of patients are {enumeration(methods)}", *cite, "; nothing was decided by them.")


def _table_one(results: Results) -> Text:
    if not any(row.smd is not None for row in results.table_one):
        return ""
    return ("Groups are described by standardized mean differences", Cite(("austin2009",)), ".")


def _guidelines() -> tuple[Text, Text]:
    return (
        (
            "Reporting follows TRIPOD+AI where it applies",
            Cite(("collins2024",)),
            ", and the questions of PROBAST+AI are answered as far as the run tells",
            Cite(("moons2025",)),
            ".",
        ),
        ("The question, and the comparison of arms, follow Mwaniki and others", Cite(("mwaniki2023",)), "."),
    )
