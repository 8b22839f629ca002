"""``model_card.md``: what a model is for, whom it was made of, how good it is, and where it ends."""

from __future__ import annotations

from collections.abc import Iterator

from ppgssl.core.results.base import Interval
from ppgssl.models.card import ModelCard


def card_text(card: ModelCard) -> str:
    """The card, in Markdown. Sections follow Mitchell et al., Model cards for model reporting, FAT* 2019,
    doi 10.1145/3287560.3287596.
    """
    sections = {
        "Intended use": _use(card),
        "What it takes": _inputs(card),
        "Whom it was made of": _cohort(card),
        "Performance": _performance(card),
        "Thresholds": _thresholds(card),
        "Limits": _limits(card),
        "Where it comes from": _origin(card),
    }
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    version = card.versions.get("ppgssl", "of unknown version")
    return f"# {card.title}\n\nModel `{card.name}`, made {card.created_utc} by ppgssl {version}.\n\n{body}\n"


def _use(card: ModelCard) -> Iterator[str]:
    yield (
        f"Estimates the risk of “{card.outcome_label}” ({card.event_label}) of patients like those below, for research "
        "and for validation on new cohorts with `ppgssl evaluate --model`."
    )
    yield ""
    yield (
        "Not a medical device. No decision about a patient may rest on it: whether acting on its risks helps patients "
        "was not studied. Before anything else, validate it on patients of the place where it is to be used, and "
        "recalibrate it if needed."
    )


def _inputs(card: ModelCard) -> Iterator[str]:
    described = card.input
    if card.columns.features or not card.covariates:
        channels = ", ".join(channel.name for channel in described.channels)
        seen = f"{len(card.columns.features)} features" if card.columns.features else "networks on whole segments"
        yield (
            f"Signals: {channels}; segments of {described.segment_s:g} s every {described.step_s:g} s at "
            f"{described.fs_hz:g} Hz, normalisation `{described.normalisation}`; {seen}."
        )
        yield ""
    if not card.covariates:
        return
    yield "| covariate | unit or levels | 98 % of training patients | missing in training |"
    yield "|---|---|---|---|"
    for one in card.covariates:
        unit = one.unit or ", ".join(one.levels) or "no unit"
        typical = f"{one.typical[0]:.4g} to {one.typical[1]:.4g}" if one.typical else ""
        yield f"| {one.label} (`{one.name}`) | {unit} | {typical} | {100 * one.proportion_missing:.0f} % |"
    yield ""
    yield _missing(card)


def _missing(card: ModelCard) -> str:
    if card.learner == "gradient-boosting":
        return "A missing value is taken as it is: each split of a tree sends it to one side."
    missing = card.classifier.get("missing", {})
    if missing.get("method") == "mice":
        return (
            f"A missing value is drawn {missing['n_imputations']} times by chained equations, from the values of "
            "training patients with similar predictions, and the risks are averaged. The model therefore holds the "
            "values of each covariate, sorted by prediction, without patient ids."
        )
    return "A missing value becomes the median, or the most frequent level, of the training patients."


def _cohort(card: ModelCard) -> Iterator[str]:
    cohort = card.cohort
    yield (
        f"{cohort.get('title') or cohort.get('name')}: {card.n_patients} patients, {card.n_events} with the event "
        f"({100 * card.prevalence:.1f} %)."
    )
    if card.n_pretraining_patients:
        yield (
            f"The encoder was pretrained on {card.n_pretraining_segments} segments of {card.n_pretraining_patients} "
            f"patients ({', '.join(card.stores)}), without outcomes."
        )
    for text in (cohort.get("description"), cohort.get("citation")):
        if text:
            yield ""
            yield str(text).strip()


def _performance(card: ModelCard) -> Iterator[str]:
    found = card.performance
    if found is None:
        yield f"Not known. {card.performance_note}"
        return
    yield (
        "Of models made in the same way from parts of the patients and tested on the others "
        f"({found.scheme}; {found.n_patients} patients, {found.n_events} events). This very model has been tested on "
        "nobody: all patients went into it."
    )
    yield ""
    yield "| measure | estimate (95 % interval) |"
    yield "|---|---|"
    for label, interval in (
        ("AUROC", found.auroc),
        ("Area under the precision-recall curve", found.auprc),
        ("Brier score", found.brier),
        ("Calibration in the large (0 is ideal)", found.calibration_intercept),
        ("Calibration slope (1 is ideal)", found.calibration_slope),
    ):
        if interval is not None:
            yield f"| {label} | {_interval(interval)} |"


def _interval(value: Interval) -> str:
    if value.estimate is None or value.ci_low is None or value.ci_high is None:
        return "not defined"
    return f"{value.estimate:.3f} ({value.ci_low:.3f} to {value.ci_high:.3f})"


def _thresholds(card: ModelCard) -> Iterator[str]:
    yield "Chosen on training patients, by risks of models that were not fitted to them."
    yield ""
    yield "| rule | risk | sensitivity | specificity |"
    yield "|---|---|---|---|"
    for one in card.thresholds:
        yield f"| {one.label} | {one.threshold:.3f} | {one.sensitivity:.2f} | {one.specificity:.2f} |"


def _limits(card: ModelCard) -> Iterator[str]:
    yield f"- {_of_draws(card) if card.n_draws else _of_refits(card) if card.n_refits else _NO_INTERVAL}"
    yield "- Risks hold where patients, devices and the way patients are chosen are like those above."
    yield "- Reasons to distrust a risk (missing values, poor signals, unlike training) come with each prediction."
    yield from (f"- {note}" for note in card.notes)


_NO_INTERVAL = (
    "Risks have no interval: refits of this model to bootstrap samples would take too long, and it has no draws from a "
    "posterior. A risk alone does not show how uncertain it is."
)


def _of_refits(card: ModelCard) -> str:
    return (
        f"Intervals of a risk come from {card.n_refits} refits to bootstrap samples of the training patients: they "
        "show how much the risk depends on who these were. They do not cover the encoder, which stays as it is, the "
        "chance of the outcome itself, or that other patients may be different."
    )


def _of_draws(card: ModelCard) -> str:
    return (
        f"A risk is the mean over {card.n_draws} draws from the posterior of a Bayesian model, and its interval the "
        "95 % credible interval, the 2.5th to the 97.5th percentile of the draws: it shows how uncertain the "
        "coefficients are, given the training patients and the prior. It does not cover the encoder, which stays as it "
        "is, the chance of the outcome itself, or that other patients may be different."
    )


def _origin(card: ModelCard) -> Iterator[str]:
    packages = ", ".join(f"{name} {version}" for name, version in sorted(card.versions.items()))
    yield f"Seed {card.seed}; {packages}; {card.platform}."
    yield "Data: " + ", ".join(f"{name} ({digest[:12]})" for name, digest in card.stores.items()) + "."
