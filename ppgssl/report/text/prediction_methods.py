"""The methods text of the arms: what goes into them, each learner, missing values, and networks trained end to end."""

from __future__ import annotations

from collections.abc import Sequence

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.fixed import MOST_FEATURES
from ppgssl.core.config.study import Study
from ppgssl.core.results.performance import ArmResult
from ppgssl.core.results.study import Results
from ppgssl.report.document import Cite, Text, runs, sentences
from ppgssl.report.text import rounding
from ppgssl.report.text.facts import network_arms, regression_arms, uses_covariates
from ppgssl.report.text.rounding import enumeration, plural


def prediction_methods(results: Results, study: Study, cohorts: Sequence[Cohort]) -> list[Text]:
    """Paragraphs on inputs, learners, controls and networks; each sentence only where some arm has the thing."""
    arms = results.arms
    texts = [
        sentences(_covariates(results), *_features(arms), _vitals(results, study, cohorts)),
        sentences(*_learners(arms), _late_fusion(arms), _controls(arms)),
        _networks(arms, study),
    ]
    return [text for text in texts if text]


def missing_methods(results: Results, study: Study) -> list[Text]:
    """What was done about missing values; nothing where no arm has columns."""
    learners = {arm.learner for arm in regression_arms(results.arms)}
    if not learners:
        return []
    lost = results.missing
    return [
        sentences(
            f"{rounding.count(lost.n_complete)} of {plural(lost.n_patients, 'patient')} had every covariate."
            if lost is not None and lost.variables
            else "",
            _imputation(results, study) if learners != {"gradient-boosting"} else "",
            "Gradient boosting takes missing values as they are." if "gradient-boosting" in learners else "",
            "All of this was learnt from training patients alone.",
        )
    ]


def _imputation(results: Results, study: Study) -> Text:
    if all(arm.clinical is None for arm in regression_arms(results.arms)):
        return "Missing signal features were replaced by the median."
    if study.missing.method == "median":
        return "Missing numbers were replaced by the median and missing levels by the most frequent one."
    pooled: Text = (
        ("; odds ratios were pooled by Rubin's rules", Cite(("rubin1987",))) if results.covariate_model else ()
    )
    return (
        f"Missing covariates were filled in {study.missing.n_imputations} times over by chained equations",
        Cite(("vanbuuren2011",)),
        ": numbers by predictive mean matching, levels by logistic regression, the outcome in no equation, since it is "
        "not known of patients to be predicted",
        Cite(("sisk2023",)),
        ". Each completed set has its own model, and risks are averaged over them",
        Cite(("mertens2020",)),
        *runs(pooled),
        ". Missing signal features were replaced by the median.",
    )


# --- inputs ----------------------------------------------------------------------------------------------------


def _covariates(results: Results) -> Text:
    return f"Covariates: {enumeration(results.covariate_labels)}." if uses_covariates(results) else ""


def _features(arms: Sequence[ArmResult]) -> list[Text]:
    used = {arm.features for arm in regression_arms(arms) if arm.features}
    is_beside = any(arm.is_beside_hand_made for arm in arms)
    texts: list[Text] = []
    if used & {"untrained", "ssl-labelled", "ssl-all"}:
        texts.append("Segment representations were averaged over each patient's accepted segments.")
    if "pulse-wave" in used or is_beside:
        texts.append(
            (
                "Hand-made features describe the rhythm, the mean pulse wave and the spectrum of each segment by the "
                "rules of the field",
                Cite(("elgendi2012",)),
                ", averaged over segments in the same way.",
            )
        )
    if is_beside:
        texts.append("Where an arm has the features of an encoder and hand-made ones, they are one set of features.")
    if "minirocket" in used:
        texts.append(
            (
                "MiniRocket features are the shares of a segment's convolutions with fixed kernels that lie above a "
                "threshold",
                Cite(("dempster2021",)),
                ", averaged over segments in the same way; the thresholds come from training segments.",
            )
        )
    return texts


def _vitals(results: Results, study: Study, cohorts: Sequence[Cohort]) -> Text:
    inputs = {arm.clinical for arm in results.arms}
    heart_rate, spo2 = bool(inputs & {"heart-rate", "vitals"}), "vitals" in inputs
    return sentences(
        f"Heart rate is {_clinical(study.heart_rate) or _OF_SEGMENTS}." if heart_rate else "",
        _spo2(results, study, cohorts) if spo2 else "",
    )


_OF_SEGMENTS = "the median over a patient's segments"


def _clinical(name: str | None) -> str:
    return f"the clinical variable “{name}”" if name else ""


def _spo2(results: Results, study: Study, cohorts: Sequence[Cohort]) -> Text:
    if study.spo2:
        return f"SpO2 is {_clinical(study.spo2)}."
    labelled = {flow.cohort for flow in results.flow if flow.role == "labelled"}
    curve = next(cohort.vitals.spo2_calibration for cohort in cohorts if cohort.name in labelled)
    return (
        f"SpO2 is {_OF_SEGMENTS}, from the ratio of ratios R of red and infrared light",
        Cite(("tremper1989",)),
        f": {_polynomial(curve)} percent.",
    )


def _polynomial(coefficients: Sequence[float]) -> str:
    """``110 − 25 R`` of the coefficients 110 and -25."""
    words = f"{coefficients[0]:g}"
    for power, value in enumerate(coefficients[1:], start=1):
        sign = "\u2212" if value < 0 else "+"
        words += f" {sign} {abs(value):g}\u00a0R{'' if power == 1 else '⁰¹²³⁴'[power]}" if value else ""
    return words


# --- learners --------------------------------------------------------------------------------------------------


def _learners(arms: Sequence[ArmResult]) -> list[Text]:
    """Ridge is what an arm has whose label names no other; all learners see the same standardized columns."""
    texts = {
        "ridge": _ridge(arms),
        "elastic-net": (
            "Elastic nets, logistic regressions with both a quadratic and an absolute penalty",
            Cite(("zou2005",)),
            ", can leave columns out; the strength of the penalty, the share of either kind and how far signal "
            "features are let in beside clinical input were chosen by the log loss of inner folds.",
        ),
        "horseshoe": _horseshoe(arms),
        "gradient-boosting": (
            "Gradient boosting, sums of small decision trees that find non-linear effects and interactions by "
            "themselves",
            Cite(("friedman2001",)),
            ", is the strong reference for tables; the size and the number of trees were chosen by the log loss "
            "of inner folds.",
        ),
    }
    used = {arm.learner for arm in arms}
    return [text for learner, text in texts.items() if learner in used]


def _horseshoe(arms: Sequence[ArmResult]) -> Text:
    inputs = [(arm.clinical, arm.features) for arm in arms if arm.learner == "horseshoe"]
    products: Text = (
        ("; products of pairs of columns enter, too, as in the published model", Cite(("mwaniki2023",)))
        if any(clinical for clinical, _ in inputs)
        else ()
    )
    alone = ", here of clinical columns alone" if any(all(pair) for pair in inputs) else ""
    components = (
        f"; more than {MOST_FEATURES} signal features enter as their first {MOST_FEATURES} principal components"
        if any(features for _, features in inputs)
        else ""
    )
    return (
        "Horseshoe logistic regressions are Bayesian: a regularized horseshoe prior shrinks most slopes towards zero "
        "and hardly touches the few large ones",
        Cite(("carvalho2010", "piironen2017")),
        *runs(products),
        f"{alone}{components}; a predicted risk is the mean over draws of the posterior, made by Gibbs sampling with "
        "Pólya-Gamma variables",
        Cite(("polson2013", "makalic2016")),
        ".",
    )


def _ridge(arms: Sequence[ArmResult]) -> Text:
    ridge = [arm for arm in arms if arm.learner == "ridge"]
    others = {arm.learner for arm in arms} - {"ridge", "network"}
    unless = ", unless the name of an arm says otherwise" if others else ""
    inputs = enumeration(
        [
            *(["clinical input"] if any(arm.clinical for arm in ridge) else []),
            *(["signal features"] if any(arm.features for arm in ridge) else []),
            *(["both"] if any(arm.clinical and arm.features for arm in ridge) else []),
        ],
        "or",
    )
    return sentences(
        f"Logistic regression with a quadratic (ridge) penalty predicted the event from {inputs}{unless}. All columns "
        "were standardized. Penalties were chosen by the log loss of inner folds of the training patients.",
        (
            "Beside clinical input, signal features have a penalty of their own, so that many features do not drown "
            "few covariates",
            Cite(("boulesteix2017",)),
            "; both were chosen together, leaving the signal features out being one of the choices.",
        )
        if any(arm.clinical and arm.features and not arm.is_late_fusion for arm in ridge)
        else "",
    )


def _late_fusion(arms: Sequence[ArmResult]) -> Text:
    if not any(arm.is_late_fusion for arm in arms):
        return ""
    return (
        "In late fusion, clinical input and signal features have a model each; a logistic regression "
        "with weights of zero or more combines the logits of their two risks, fitted to what inner folds of the "
        "training patients predicted",
        Cite(("wolpert1992", "breiman1996stacked")),
        ".",
    )


def _controls(arms: Sequence[ArmResult]) -> Text:
    words = {
        "heart rate alone": any(arm.clinical == "heart-rate" and arm.features is None for arm in arms),
        "features of the same encoder with its random initial weights": _has_control(arms, "untrained"),
        "hand-made features": _has_control(arms, "pulse-wave"),
        "MiniRocket features": _has_control(arms, "minirocket"),
    }
    used = [name for name, is_used in words.items() if is_used]
    return f"Controls tell how much of a result needs no learning from signals: {enumeration(used)}." if used else ""


def _has_control(arms: Sequence[ArmResult], features: str) -> bool:
    return any(arm.features == features for arm in regression_arms(arms))


# --- networks --------------------------------------------------------------------------------------------------


def _networks(arms: Sequence[ArmResult], study: Study) -> Text:
    networks = network_arms(arms)
    if not networks:
        return ""
    settings = study.network
    starts = [
        *(["at random"] if any(arm.features == "untrained" for arm in networks) else []),
        *(["from pretrained weights"] if any(arm.features != "untrained" for arm in networks) else []),
    ]
    smoothing: Text = (
        (f", label smoothing {settings.label_smoothing:g}", Cite(("szegedy2016",))) if settings.label_smoothing else ()
    )
    return sentences(
        (
            f"Networks trained end to end are the same encoder and a linear layer, started {enumeration(starts, 'or')}."
            f" They were trained for at most {plural(settings.n_epochs, 'epoch')} with patients drawn so that both "
            f"outcomes are equally frequent, batches of {settings.batch_size}, learning rate "
            f"{settings.learning_rate:g}, weight decay {settings.weight_decay:g}",
            *runs(smoothing),
            ".",
        ),
        _frozen(networks, study),
        _averaged(study),
        _pooling(study),
        (
            "As balanced drawing makes risks too high",
            Cite(("goorbergh2022",)),
            ", they were corrected to the prevalence of the training patients",
            Cite(("king2001",)),
            ".",
        ),
    )


def _frozen(networks: Sequence[ArmResult], study: Study) -> Text:
    if not study.network.freeze_epochs or all(arm.features == "untrained" for arm in networks):
        return ""
    return f"A pretrained encoder was kept frozen for the first {plural(study.network.freeze_epochs, 'epoch')}."


def _averaged(study: Study) -> Text:
    """On whom training stops: patients not drawn, or a share of the training patients set aside."""
    settings = study.network
    patience = f"had not fallen for {plural(settings.patience, 'epoch')}"
    if settings.n_models == 1:
        return (
            f"Training stopped when the loss on {100 * settings.validation_fraction:g}% of the training patients, set "
            f"aside, {patience}."
        )
    return (
        f"Each is an average over {settings.n_models} networks that were fitted to bootstrap samples of the training "
        "patients",
        Cite(("breiman1996",)),
        f", and stopped when the loss on those who were not drawn {patience}.",
    )


def _pooling(study: Study) -> Text:
    if study.network.pooling == "mean":
        return "A patient's risk is the mean over segments."
    return (
        "A patient's risk comes from a mean of the embeddings of their segments, weighted by gated attention",
        Cite(("ilse2018",)),
        ".",
    )
