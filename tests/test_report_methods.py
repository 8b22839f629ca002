"""The methods text says what was configured, and changes with it."""

from __future__ import annotations

import pytest

from ppgssl.errors import ReportError
from ppgssl.report.document import Cite, Paragraph, plain, runs
from ppgssl.report.methods import configuration, methods
from ppgssl.report.references import REFERENCES
from tests.fake_results import make_results


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
        ({"pretraining": {"exposure": "transductive"}}, "test patients too, once for all folds (transductive)"),
        ({"pretraining": {"exposure": "disjoint"}}, "the unlabelled cohorts alone"),
        ({"network": {"freeze_epochs": 7}}, "frozen for the first 7 epochs"),
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


def test_every_citation_has_its_reference():
    blocks = [block for block in methods(make_results()) if isinstance(block, Paragraph)]
    cited = {key for block in blocks for run in runs(block.text) if isinstance(run, Cite) for key in run.keys}
    assert cited
    assert cited <= set(REFERENCES)


def test_results_with_a_foreign_configuration_are_refused_by_the_key():
    results = make_results()
    results.provenance.study["inputs"]["colour"] = "red"
    with pytest.raises(ReportError, match=r"inputs\.colour.*ppgssl evaluate"):
        configuration(results)
