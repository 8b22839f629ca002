"""Limitations for the statistician; each holds for the results at hand."""

from __future__ import annotations

from ppgssl.core.results.study import Results
from ppgssl.report.document import Text
from ppgssl.report.text import rounding
from ppgssl.report.text.claims import named, verdict
from ppgssl.report.text.facts import Facts
from ppgssl.report.text.families import reference_arm
from ppgssl.report.text.rounding import enumeration


def limitations(results: Results) -> tuple[Text, ...]:
    """Bullets, the most general first."""
    bullets: list[Text] = [_intervals(results), _assessed(results), *_validation(results), *_data(results)]
    bullets += [note.rstrip(".") + "." for note in (*results.validation.notes, *results.refitting_notes)]
    if results.optimism or results.stability:
        bullets.append(
            "Optimism and stability over bootstrap samples were found with the encoder left as it was: what its "
            "pretraining adds to optimism and instability is not in them."
        )
    if any(arm.is_transductive for arm in results.arms):
        names = named([arm for arm in results.arms if arm.is_transductive])
        bullets.append(f"Transductive pretraining: the encoder of {names} had seen test patients' signals.")
    if results.validation.n_bootstrap_skipped:
        skipped = rounding.n_percent(results.validation.n_bootstrap_skipped, results.validation.n_bootstrap)
        bullets.append(f"The AUROC was not defined in {skipped} of the bootstrap resamples, which were left out.")
    if any(verdict(arm.auroc) == "undefined" for arm in results.arms):
        bullets.append("Some statistics are not defined for these data and print as an en dash.")
    return tuple(bullet for bullet in bullets if bullet)


def is_adjusted(results: Results) -> bool:
    """Whether p-values of differences were adjusted for the number of comparisons."""
    return Facts(results).is_adjusted


def _intervals(results: Results) -> str:
    adjusted = (
        "p-values are adjusted by Holm within each kind of comparison; intervals are not adjusted."
        if is_adjusted(results)
        else "Neither they nor the p-values are adjusted for multiple comparisons."
    )
    return (
        "Bootstrap intervals treat the predictions as given: they reflect the sampling of patients to be predicted, "
        f"not of those the models were fitted on. {adjusted}"
    )


def _assessed(results: Results) -> str:
    missing = [
        words
        for words, is_there in (
            ("calibration", any(arm.calibration for arm in results.arms)),
            ("classification at thresholds", any(arm.operating_points for arm in results.arms)),
            ("net benefit", any(arm.decision_curve for arm in results.arms)),
        )
        if not is_there
    ]
    return f"Not assessed: {enumeration(missing)}." if missing else ""


def _validation(results: Results) -> list[str]:
    scheme = results.validation.scheme
    if scheme == "leave-one-site-out":
        return [
            "Every site was predicted by models of the other sites; how patients get to a site, and what devices it "
            "uses, may differ in places that are not among them."
        ]
    if scheme == "external":
        return [
            "One cohort tells of one place: in another, patients, devices and the way patients are chosen may differ "
            "again.",
            "Recalibration was judged on the cohort that it was fitted to, if by other patients of it.",
        ]
    common = "Validation is internal: training and test patients come from the same source."
    if scheme == "single-split":
        return [common, "One split alone was tested; its result depends on which patients were drawn."]
    return [
        common,
        "Predictions of one repeat of the cross-validation come from models that share training patients, and so "
        "are not independent.",
    ]


def _data(results: Results) -> list[str]:
    bullets = []
    if reference_arm(results) is None:
        bullets.append("There is no arm with clinical covariates to compare with.")
    bullets += _missing(results)
    if results.acquisition:
        bullets.append(
            "Acquisition checks look at a few simple properties; the absence of a finding proves no absence of "
            "shortcuts."
        )
    return bullets


def _missing(results: Results) -> list[str]:
    labels = list(dict.fromkeys(row.label for row in results.table_one if row.overall.n_missing))
    if not labels:
        return []
    names = enumeration([*labels[:6], *(["others"] if len(labels) > 6 else [])])
    if results.missing is not None and results.missing.method == "mice":
        return [
            f"Missing values ({names}) were imputed as if whether a value is missing depended on recorded values alone."
        ]
    return [f"Missing values ({names}) were filled in by single imputation, whose uncertainty is not carried on."]
