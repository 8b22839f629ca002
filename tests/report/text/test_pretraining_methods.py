"""The methods text of pretraining follows the study's choices."""

from __future__ import annotations

import pytest

from ppgssl.core.config.study import Study
from ppgssl.report.document import Cite, Paragraph, plain, runs
from ppgssl.report.text.pretraining_methods import pretraining_methods
from ppgssl.report.text.references import REFERENCES
from tests.support.fake_results import make_results

OBJECTIVES = {
    "autoencoder": "a plain autoencoder",
    "masked-autoencoder": "fill in 50% of the time axis, hidden in stretches of 0.2 s",
    "contrastive-masked-autoencoder": "At the same time, as a masked autoencoder",
    "contrastive-patient": "to find two non-overlapping segments of one patient among those of others",
    "vicreg": "give two non-overlapping segments of one patient the same projection",
    "transformation-recognition": "noise, scaling, negation, time reversal, permutation and time warping",
}


def texts(**pretraining):
    study = Study.model_validate({**make_results().provenance.study, "pretraining": pretraining})
    return [Paragraph(text) for text in pretraining_methods(study)]


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_each_pretext_task_is_described_with_references_that_exist(name):
    paragraphs = texts(objective=name)
    assert OBJECTIVES[name] in plain(paragraphs[0].text)
    cited = {key for block in paragraphs for run in runs(block.text) if isinstance(run, Cite) for key in run.keys}
    assert cited <= set(REFERENCES)


@pytest.mark.parametrize(
    ("pretraining", "said"),
    [
        ({"objective": {"name": "masked-autoencoder", "mask_channels": "apart"}}, "other ones in each channel"),
        ({"objective": {"name": "autoencoder", "loss": "sdsc"}}, "signed-amplitude Dice overlap"),
        ({"objective": {"name": "contrastive-patient", "decoupled": True}}, "left out of the denominator"),
        ({"objective": {"name": "contrastive-patient", "margin": 0.2}}, "0.2 taken off the similarity"),
        ({"objective": {"name": "contrastive-patient", "min_segments": 16}}, "of at least 16 segments"),
        ({"objective": {"name": "vicreg", "pairs": "segment"}}, "two augmentations of one segment"),
        ({"objective": {"name": "vicreg", "augmentations": []}}, "Segments were not augmented."),
        ({"encoder": "resnet50-1d"}, "the published 50-layer one-dimensional residual network"),
        ({"encoder": "patch-transformer"}, "a transformer over patches of 16 samples"),
        ({"encoder": {"representation": "last"}}, "mean over time of the last feature map"),
    ],
)
def test_the_text_says_what_was_chosen(pretraining, said):
    assert said in plain(texts(**pretraining)[0].text)
