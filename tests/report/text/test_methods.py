"""The methods text describes what was configured, and changes with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ppgssl.core.config.arms import DEFAULT_ARMS
from ppgssl.core.errors import ReportError
from ppgssl.report.document import Cite, Paragraph, plain, runs
from ppgssl.report.text.methods import configuration, methods
from ppgssl.report.text.references import references
from tests.support.fake_results import make_results


def _text(**options) -> str:
    return " ".join(
        plain(block.text) if isinstance(block, Paragraph) else block.text for block in methods(make_results(**options))
    )


INPUTS = {"channels": [{"name": "pulse", "any_of": ["ppg_ir"]}], "fs_hz": 80, "segment_s": 10, "step_s": 2}


@pytest.mark.parametrize(
    ("study", "words"),
    [
        ({"inputs": INPUTS}, "segments of 10 s every 2 s, at 80 Hz (800 samples)"),
        ({"inputs": INPUTS | {"normalisation": "ac_dc"}}, "divided by the baseline (AC/DC"),
        ({"inputs": INPUTS | {"normalisation": "cohort"}}, "its cohort's training segments"),
        ({"inputs": INPUTS | {"min_sqi": 0.65}}, "at least 0.65"),
        ({"pretraining": {"objective": {"name": "masked-autoencoder", "mask_ratio": 0.75}}}, "75% of the time axis"),
        ({"pretraining": {"objective": "autoencoder"}}, "plain autoencoder"),
        ({"pretraining": {"n_steps": 12345}}, "12,345 steps"),
        ({"pretraining": {"exposure": "transductive"}}, "including test patients, once for all folds (transductive)"),
        ({"pretraining": {"exposure": "disjoint"}}, "the unlabelled cohorts alone"),
        ({"pretraining": {"init": "base"}}, "first weights were those of the encoder that comes with ppgssl"),
        ({"pretraining": {"init": "/data/encoder"}}, "first weights were those of another pretrained encoder"),
        ({"network": {"freeze_epochs": 7}}, "frozen for the first 7 epochs"),
        ({"decisions": {"sensitivity": 0.8}}, "a sensitivity of 80%"),
        ({"spo2": "saturation"}, "SpO2 is the clinical variable “saturation”"),
        (
            {"validation": {"n_folds": 7, "n_repeats": 3}},
            "7-fold cross-validation, stratified by outcome, 3 times over with other splits.",
        ),
        ({"validation": {"n_folds": 7, "n_repeats": 1}}, "7-fold cross-validation, stratified by outcome. "),
        ({"validation": {"scheme": "single-split", "test_fraction": 0.25}}, "25% were tested"),
        ({"validation": {"n_bootstrap": 5000}}, "5,000 bootstrap resamples"),
        ({"heart_rate": "pulse_rate"}, "Heart rate is the clinical variable “pulse_rate”"),
    ],
)
def test_the_text_follows_the_configuration(study, words):
    assert words in _text(study=study)
    assert words not in _text()


@pytest.mark.parametrize(
    ("pretraining", "words"),
    [
        ({"objective": "autoencoder"}, "a plain autoencoder"),
        ({"objective": "masked-autoencoder"}, "fill in 50% of the time axis, hidden in intervals of 0.2 s"),
        ({"objective": "contrastive-masked-autoencoder"}, "At the same time, as a masked autoencoder"),
        ({"objective": "beat-sequence"}, "was trained to predict, at every time of a segment, the inter-beat interval"),
        ({"objective": "contrastive-masked-beats"}, "level, variability and spectrum of their interval and height"),
        ({"objective": "contrastive-patient"}, "find two non-overlapping segments of one patient among those of"),
        ({"objective": "vicreg"}, "give two non-overlapping segments of one patient the same projection"),
        ({"objective": "transformation-recognition"}, "scaling, negation, time reversal, permutation and time warping"),
        ({"objective": {"name": "masked-autoencoder", "mask_channels": "apart"}}, "different ones in each channel"),
        ({"objective": {"name": "autoencoder", "loss": "sdsc"}}, "signed-amplitude Dice overlap"),
        ({"objective": {"name": "contrastive-patient", "decoupled": True}}, "left out of the denominator"),
        ({"objective": {"name": "contrastive-patient", "margin": 0.2}}, "0.2 subtracted from the similarity"),
        ({"objective": {"name": "contrastive-patient", "min_segments": 16}}, "of at least 16 segments"),
        ({"objective": {"name": "vicreg", "pairs": "segment"}}, "two augmentations of one segment"),
        ({"objective": {"name": "vicreg", "augmentations": []}}, "Segments were not augmented."),
        ({"encoder": "resnet50-1d"}, "the published 50-layer one-dimensional residual network"),
        ({"encoder": "patch-transformer"}, "a transformer over patches of 16 samples"),
        ({"encoder": {"representation": "last"}}, "mean over time of the last feature map"),
    ],
)
def test_the_text_describes_the_pretraining_that_was_chosen(pretraining, words):
    assert words in _text(study={"pretraining": pretraining})


def test_the_pass_band_is_the_configured_one_or_the_default():
    results = make_results()
    assert "pass band 0.5 to 8 Hz" in _text()
    results.provenance.cohorts[0]["signal"]["band_hz"] = {"ppg": [0.7, 12]}
    changed = " ".join(plain(block.text) for block in methods(results) if isinstance(block, Paragraph))
    assert "pass band 0.7 to 12 Hz" in changed


def test_a_cohort_without_an_optional_channel_is_named():
    inputs = INPUTS | {"channels": [*INPUTS["channels"], {"name": "lead", "any_of": ["ecg_ii"], "optional": True}]}
    assert "no lead, which stays zero" in _text(study={"inputs": inputs})
    assert "stays zero" not in _text()


def test_what_was_not_done_is_not_described():
    text = _text(arms=["covariates", "heart-rate"])
    assert "autoencoder" not in text
    assert "Networks trained end to end" not in text
    assert "transductive" not in _text()
    assert "No encoder saw a signal of a patient it was tested on" in _text()
    assert "No encoder saw" not in _text(study={"pretraining": {"exposure": "transductive"}})


def _sentences(**options) -> set[str]:
    texts = [plain(block.text) for block in methods(make_results(**options)) if isinstance(block, Paragraph)]
    return {sentence for text in texts for sentence in re.split(r"(?<=\.) (?=[A-Z0-9“])", text)}


def _changes(**options) -> tuple[list[str], list[str]]:
    """Sentences that an option takes out of the text, and those that it brings in."""
    base, changed = _sentences(), _sentences(**options)
    return sorted(base - changed), sorted(changed - base)


def _are(sentences: list[str], words: list[str]) -> bool:
    """Whether each sentence holds words of its own, in any order, and no sentence is left over."""
    return len(sentences) == len(words) and all(any(word in one for one in sentences) for word in words)


@pytest.mark.parametrize(
    ("part", "lost"),
    [
        ("metrics", ["partial AUROC", "AUPRC", "Brier score", "BCa intervals of the same resamples and DeLong"]),
        ("calibration", ["Calibration is described by", "the bands of calibration curves"]),
        ("decisions", ["Youden index", "specified beforehand are risks of 20%", "Wilson", "Net benefit"]),
        ("missing", ["142 of 146 patients had every covariate"]),
        ("sample_size", ["Riley and others, for a prevalence of 24.7%"]),
        ("covariate_model", ["Odds ratios"]),
        ("added_value", ["likelihood-ratio test"]),
        (
            "subgroups",
            ["reported separately by Sex and Age, years; a bootstrap test of interaction", "fewer than 5 patients"],
        ),
        ("learning_curves", ["Learning curves"]),
        ("stability", ["The stability of individual risks was assessed in 200 refits"]),
        ("optimism", ["Harrell's correction"]),
        ("embedding_maps", ["t-SNE"]),
        ("leakage", ["hashes of their identifiers"]),
    ],
)
def test_what_the_results_lack_loses_its_sentences_and_no_others(part, lost):
    gone, new = _changes(without=(part,))
    assert _are(gone, lost), gone
    assert new == []


@pytest.mark.parametrize(
    ("study", "lost", "gained"),
    [
        (
            {"missing": {"method": "mice", "n_imputations": 7}},
            ["Missing numbers were replaced by the median and"],
            [
                "imputed 7 times by chained equations",
                "risks are averaged over them",
                "The outcome was in no equation",
                "signal features were repl",
            ],
        ),
        (
            {"network": {"n_models": 1, "validation_fraction": 0.3}},
            ["an average over 3 networks"],
            ["the loss on 30% of the training patients, set aside"],
        ),
        ({"network": {"n_models": 9}}, ["average over 3 networks"], ["average over 9 networks"]),
        ({"network": {"pooling": "attention"}}, ["risk is the mean over segments"], ["weighted by gated attention"]),
        ({"network": {"label_smoothing": 0}}, ["label smoothing 0.05"], ["weight decay 0.05."]),
        ({"network": {"freeze_epochs": 0}}, ["kept frozen"], []),
        (
            {"validation": {"scheme": "single-split"}},
            ["5-fold", "each outer split", "predicted both, and repeats were averaged", "median over repeats"],
            ["20% were tested", "the one split", "ties counting one half.", "the test counts gains only."],
        ),
        (
            {"validation": {"scheme": "leave-one-site-out", "site": "sex"}},
            ["5-fold"],
            ["as given by the variable “sex” (North: 73 patients and South: 73 patients), was left out in turn"],
        ),
    ],
)
def test_an_option_changes_its_own_sentences_and_no_others(study, lost, gained):
    gone, new = _changes(study=study)
    assert _are(gone, lost), gone
    assert _are(new, gained), new


@pytest.mark.parametrize(
    ("arm", "lost", "gained"),
    [
        ("covariates:elastic-net", [], ["Elastic nets"]),
        ("covariates:horseshoe", [], ["regularized horseshoe prior"]),
        ("covariates+ssl-all:late", [], ["In stacking"]),
        (
            "covariates+ssl-all+pulse-wave",
            [],
            ["Where an arm has the features of an encoder and hand-crafted ones, they are one set of features"],
        ),
        ("minirocket", ["Controls"], ["Controls show", "convolutions with fixed kernels", "the thresholds come from"]),
        (
            "rhythm",
            [],
            ["Heart rate variability features are indices", "They were averaged over a patient's recordings"],
        ),
        ("heart-rate", ["Controls"], ["no learning from signals: heart rate alone"]),
    ],
)
def test_an_arm_brings_the_sentences_of_its_learner_and_inputs(arm, lost, gained):
    gone, new = _changes(arms=[*DEFAULT_ARMS, arm])
    assert _are(gone, lost), gone
    assert _are(new, gained), new


def test_hand_crafted_features_are_described_where_they_are_joined_with_an_encoders_alone():
    arms = ["covariates", "ssl-all", "ssl-all+pulse-wave"]
    assert "Hand-crafted features describe the rhythm" in _text(arms=arms)
    assert "Hand-crafted features" not in _text(arms=arms[:2])
    beyond = "What SSL features add to a clinical input or to hand-crafted features"
    assert beyond in _text(arms=[*arms, "pulse-wave"])
    assert beyond not in _text(arms=[*arms, "covariates+ssl-all"])
    assert "and hand-crafted features alone were adjusted" in _text(arms=[*arms, "pulse-wave"])


def test_p_values_are_called_adjusted_only_where_they_are():
    gone, new = _changes(is_adjusted=False)
    assert _are(gone, ["the covariates, the untrained encoder and the clinical input alone were adjusted"])
    assert new == []


def test_the_horseshoe_is_described_with_the_inputs_that_it_has():
    assert "products of pairs of columns are included, as in the published model; a pre" in _text(
        arms=["covariates:horseshoe"]
    )
    both = _text(arms=["covariates+ssl-all:horseshoe", "covariates"])
    assert "here of clinical columns alone; more than 30 signal features" in both
    assert "products of pairs" not in _text(arms=["ssl-all:horseshoe"])


def test_missing_values_are_described_as_far_as_arms_have_columns():
    assert "Missing signal features were replaced by the median. All of this" in _text(arms=["ssl-all", "untrained"])
    only = _text(arms=["covariates:gradient-boosting"])
    assert "takes missing values as they are" in only
    assert "replaced by" not in only


def test_encoders_that_may_see_test_patients_are_an_exception_of_the_guard():
    assert "allows to see test patients' signals" not in _text()
    text = _text(exposure="transductive", study={"pretraining": {"exposure": "transductive"}})
    assert "encoders that the study allows to see test patients' signals are reported" in text


def test_what_no_arm_does_is_not_in_the_text():
    text = _text(arms=["network-random"])
    for words in ("ridge", "Covariates:", "SpO2", "Missing", "inner folds", "kept frozen", "pretrained weights"):
        assert words not in text
    assert "Networks" not in _text(arms=["covariates", "covariates:gradient-boosting"])
    assert "unless the name of an arm" not in _text(arms=["covariates", "ssl-all", "untrained"])


def test_the_calibration_of_the_oximeter_is_written_as_a_formula():
    results = make_results()
    assert "110 \u2212 25\u00a0R percent" in _text()
    results.provenance.cohorts[0]["vitals"]["spo2_calibration"] = [104.0, 0.0, -17.5]
    changed = " ".join(plain(block.text) for block in methods(results) if isinstance(block, Paragraph))
    assert "104 \u2212 17.5\u00a0R² percent" in changed


EVERYTHING = [
    *DEFAULT_ARMS,
    "heart-rate",
    "minirocket",
    *(f"covariates:{name}" for name in ("elastic-net", "horseshoe")),
]


def test_every_citation_has_its_reference():
    cited = set()
    for missing, pooling in (("median", "mean"), ("mice", "attention")):
        study = {"missing": {"method": missing}, "network": {"pooling": pooling}}
        blocks = methods(make_results(arms=[*EVERYTHING, "covariates+ssl-all:late"], study=study))
        texts = [block.text for block in blocks if isinstance(block, Paragraph)]
        cited |= {key for text in texts for run in runs(text) if isinstance(run, Cite) for key in run.keys}
    assert len(cited) > 40
    assert cited <= set(references())


def test_every_reference_is_cited_somewhere():
    folder = Path(__file__).parents[3] / "ppgssl" / "report"
    files = [file for file in folder.rglob("*") if file.suffix in (".py", ".jinja", ".yaml")]
    source = "".join(file.read_text(encoding="utf-8") for file in files)
    assert len(references()) > 60
    assert [key for key in references() if not re.search(rf'(@|"){key}\b', source)] == []


def test_results_with_a_foreign_configuration_are_refused_by_the_key():
    results = make_results()
    results.provenance.study["inputs"]["colour"] = "red"
    with pytest.raises(ReportError, match=r"inputs\.colour.*ppgssl evaluate"):
        configuration(results)
