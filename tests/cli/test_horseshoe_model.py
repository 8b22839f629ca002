"""The learner of the published study as a final model: commands as a user types them."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import yaml

from ppgssl.models.folder import load_model


def test_a_horseshoe_arm_is_fitted_moved_used_and_evaluated_elsewhere(ppgssl, tmp_path):
    here, there, model = tmp_path / "here", tmp_path / "there", tmp_path / "else" / "where" / "model"
    simulate = ["simulate", "--patients", 40, "--seconds", 20, "--prevalence", 0.35]
    assert ppgssl(*simulate, "--out", here, "--unlabelled", 6).returncode == 0
    elsewhere = ["--unlabelled", 1, "--seed", 2, "--hospital", "there"]
    assert ppgssl(*simulate, "--out", there, *elsewhere).returncode == 0
    study = yaml.safe_load((here / "study.yaml").read_text())
    few = {"n_steps": 4, "batch_size": 16, "evaluate_every": 2, "encoder": {"width": 8, "n_stages": 1}}
    study["pretraining"] |= few
    study["validation"]["n_bootstrap"] = 100
    (here / "study.yaml").write_text(yaml.safe_dump(study))
    for name in ("labelled", "unlabelled"):
        store = here / "run" / "stores" / name
        assert ppgssl("ingest", here / f"{name}.yaml", "--out", store, "--jobs", 1).returncode == 0

    done = ppgssl("fit", here / "study.yaml", "--arm", "covariates+ssl-all:horseshoe", "--out", tmp_path / "model")
    assert done.returncode == 0, done.stderr
    model.parent.mkdir(parents=True)
    (tmp_path / "model").rename(model)
    (here / "study.yaml").unlink()
    card = load_model(model).card
    assert (card.learner, card.n_refits, card.n_draws) == ("horseshoe", 0, 400)
    assert "95 % credible interval" in (model / "model_card.md").read_text()

    done = ppgssl("predict", model, "--cohort", there / "labelled.yaml", "--format", "json")
    assert done.returncode == 0, done.stderr
    predictions = json.loads(done.stdout)
    assert predictions["interval"].startswith("95 % credible interval")
    assert "bootstrap" not in predictions["interval"]
    table = pd.DataFrame(predictions["patients"]).query("decision == 'predicted'")
    assert len(table) > 30
    assert ((table["ci_low"] <= table["risk"]) & (table["risk"] <= table["ci_high"])).all()
    assert ((table["ci_high"] - table["ci_low"]) > 0).all()

    out = tmp_path / "out"
    done = ppgssl("evaluate", "--model", model, there / "labelled.yaml", "--out", out, "--jobs", 1)
    assert done.returncode == 0, done.stderr
    evaluated = pd.read_parquet(out / "predictions.parquet").query("arm == 'frozen'").set_index("patient_id")
    evaluated.index = evaluated.index.str.split("/").str[1]
    found = table.set_index("patient_id").loc[evaluated.index]
    np.testing.assert_allclose(evaluated["y_score"], found["risk"], atol=1e-6)
    np.testing.assert_allclose(evaluated["ci_high"], found["ci_high"], atol=1e-6)
    recalibration = out / "recalibration-in-the-large.json"
    done = ppgssl("predict", model, "--cohort", there / "labelled.yaml", "--recalibration", recalibration)
    assert "risk_recalibrated" in done.stdout.splitlines()[0], done.stderr
