"""Would a study of the published size find what was published? Simulated studies, of which the truth is known.

    python benchmarks/power.py ceiling [--studies 4000]
    python benchmarks/power.py trained --seeds 12 --out FOLDER [--processes 4]
    python benchmarks/power.py table --out FOLDER

``ceiling``: arms that predict as well as their information allows (``ppgssl.simulate.oracle``), tested on 207 and on
1,031 children. No study can find a difference more often by its design alone; takes seconds.

``trained``: for each seed the 1,031 + 6,547 recordings of the published study are simulated, ingested, pretrained on
and evaluated as ``ppgssl run`` does it on the recipe ``study_defaults.yaml``, but on a smaller budget: one repeat of
five folds, 400 steps of pretraining instead of 1,000, segments that do not overlap, and one network of a few epochs
instead of three. Each fold is a study of the published design, four fifths of the patients training and one fifth
tested; all folds together are the study in cross-validation. FOLDER keeps the predictions of each seed, and finished
seeds are not run again. ``table`` prints what the seeds in FOLDER say.

A difference is found if DeLong's paired test gives p < 0.05 and it has the sign that was published.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import ppgssl.data_schemas
import yaml
from joblib import Parallel, delayed

from ppgssl.core.config.loading import load_study, load_yaml
from ppgssl.core.parallel import Workers
from ppgssl.evaluation.delong import DeLong, delong, place
from ppgssl.evaluation.predictions import AlignedPredictions, align_predictions
from ppgssl.simulate.oracle import oracle_aucs, oracle_risks
from ppgssl.simulate.published import N_LABELLED, N_UNLABELLED, simulate_published
from ppgssl.stages.evaluate.folds import predict_folds
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.pretrain import pretrain
from ppgssl.store.study_data import load_study_data

RECIPE = Path(ppgssl.data_schemas.__file__).parent / "examples" / "mwaniki2023"
COHORTS = {"triage": "labelled", "sepsis_6_60_months": "unlabelled", "sepsis_0_6_months": "unlabelled"}
N_TEST = 207
ARMS = {
    "vitals": "vitals",
    "covariates": "covariates",
    "untrained": "waveform",
    "pulse-wave": "waveform",
    "ssl-labelled": "waveform",
    "ssl-all": "waveform",
    "covariates+untrained": "covariates+waveform",
    "covariates+pulse-wave": "covariates+waveform",
    "covariates+ssl-labelled": "covariates+waveform",
    "covariates+ssl-all": "covariates+waveform",
    "network-random": "waveform",
    "network-ssl-labelled": "waveform",
    "network-ssl-all": "waveform",
}
"""Arms, and the information that each has: its oracle."""
CLAIMS = {
    "clinical covariates predict better than SpO2 and heart rate": ("covariates", "vitals"),
    "SSL features predict better than SpO2 and heart rate": ("ssl-all", "vitals"),
    "SSL features, of the labelled recordings, predict better than SpO2 and heart rate": ("ssl-labelled", "vitals"),
    "SSL features add to the covariates": ("covariates+ssl-all", "covariates"),
    "SSL features, of the labelled recordings, add to the covariates": ("covariates+ssl-labelled", "covariates"),
    "beside covariates, all recordings teach more than the labelled": ("covariates+ssl-all", "covariates+ssl-labelled"),
    "alone, the labelled recordings teach more than all": ("ssl-labelled", "ssl-all"),
    "networks gain by SSL on all recordings": ("network-ssl-all", "network-random"),
    "networks gain by SSL on the labelled recordings": ("network-ssl-labelled", "network-random"),
    "networks gain more by all recordings than by the labelled": ("network-ssl-all", "network-ssl-labelled"),
}
"""What the published table shows, or is read to show: the first arm had the larger AUC."""
CONTROLS = {
    "SSL features predict better than those of the untrained encoder": ("ssl-all", "untrained"),
    "SSL features predict better than hand-crafted ones": ("ssl-all", "pulse-wave"),
    "hand-crafted features add to the covariates": ("covariates+pulse-wave", "covariates"),
}
# The budget: what is smaller than in the recipe.
CHANGES: dict[str, Any] = {
    "arms": list(ARMS),
    "pretraining": {"n_steps": 400},
    "network": {"n_models": 1, "n_epochs": 12, "patience": 4, "freeze_epochs": 3},
    "validation": {"n_folds": 5, "n_repeats": 1, "n_bootstrap": 100, "n_optimism": 0},
}


def main() -> None:
    """Run the part that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["ceiling", "trained", "table"])
    parser.add_argument("--studies", type=int, default=4000)
    parser.add_argument("--seeds", type=int, default=12)
    parser.add_argument("--processes", type=int, default=-1)
    parser.add_argument("--out", type=Path, default=Path("power"))
    parser.add_argument("--patients", type=int, default=N_LABELLED)
    parser.add_argument("--unlabelled", type=int, default=N_UNLABELLED)
    options = parser.parse_args()
    if options.part == "ceiling":
        ceiling(options.studies)
        return
    if options.part == "trained":
        options.out.mkdir(parents=True, exist_ok=True)
        Parallel(n_jobs=options.processes)(
            delayed(run_study)(seed, options.out.resolve(), options.patients, options.unlabelled)
            for seed in range(1, options.seeds + 1)
        )
    found = {path.stem: pd.read_parquet(path) for path in sorted(options.out.glob("seed*.parquet"))}
    trained_tables(found)


# --- studies that are simulated, ingested and trained -----------------------------------------------------------


def run_study(seed: int, out: Path, n_labelled: int, n_unlabelled: int) -> None:
    """One study from raw files to predictions, which ``out`` keeps; everything else is deleted."""
    kept = out / f"seed{seed:03d}.parquet"
    if kept.is_file():
        return
    started, work = time.monotonic(), out / f"work{seed:03d}"
    shutil.rmtree(work, ignore_errors=True)  # of a run that was interrupted
    simulate_published(work / "data", n_labelled=n_labelled, n_unlabelled=n_unlabelled, seed=1000 + seed)
    file = work / "study.yaml"
    file.write_text(yaml.safe_dump(study_description(work, seed)), encoding="utf-8")
    for name in COHORTS:
        ingest(work / f"{name}.yaml", work / "stores" / name, n_jobs=1)
    data = load_study_data(load_study(file), file, work / "run")
    pretrain(data, work / "run", n_jobs=1)
    predictions = predict_folds(data, work / "run", "power", Workers(1)).predictions
    predictions.to_parquet(kept, index=False)
    shutil.rmtree(work)
    print(f"seed {seed}: {time.monotonic() - started:.0f} s", flush=True)


def study_description(work: Path, seed: int) -> dict[str, Any]:
    """``study.yaml`` of the recipe with a smaller budget, and beside it the recipe's cohorts with their folders."""
    raw = load_yaml(RECIPE / "study_defaults.yaml")
    raw |= {**CHANGES, "seed": seed, "cohorts": []}
    raw["inputs"]["step_s"] = 10  # segments that do not overlap: half as many
    for name, role in COHORTS.items():
        cohort = load_yaml(RECIPE / f"{name}.yaml") | {"root": str(work / "data" / name)}
        (work / f"{name}.yaml").write_text(yaml.safe_dump(cohort, allow_unicode=True), encoding="utf-8")
        raw["cohorts"].append({"cohort": f"{name}.yaml", "store": str(work / "stores" / name), "role": role})
    return raw


# --- tables ----------------------------------------------------------------------------------------------------


def ceiling(n_studies: int) -> None:
    """How often studies of arms that use all their information find the differences between them."""
    rng = np.random.default_rng(2023)
    risks = oracle_risks(n=40_000, rng=rng)
    names = ("vitals", "covariates", "waveform", "covariates+waveform")
    scores = np.stack([risks[name] for name in names])
    found: dict[int, list[DeLong]] = {}
    for n in (N_TEST, N_LABELLED):
        drawn = (rng.choice(scores.shape[1], n, replace=False) for _ in range(n_studies))
        found[n] = [
            delong(
                place(AlignedPredictions(names, scores[:, who], rng.random(n) < risks["parts"][who], *_one_model(n)))
            )
            for who in drawn
        ]
    pairs = {
        "covariates against vitals": ("covariates", "vitals"),
        "waveform against vitals": ("waveform", "vitals"),
        "covariates and waveform against covariates": ("covariates+waveform", "covariates"),
        "covariates and waveform against waveform": ("covariates+waveform", "waveform"),
    }
    print(f"Best possible predictions, {n_studies} studies\n")
    print(f"| | tested | mean difference | 2.5 to 97.5 % of the studies | found |\n|{'---|' * 5}")
    for claim, pair in pairs.items():
        for n, studies in found.items():
            print(f"| {claim} | {n} | {row_of(pair, studies)} |")


def _one_model(n: int) -> tuple[Any, ...]:
    nobody = np.zeros(n, dtype=np.int64)
    return nobody, nobody, np.arange(n), tuple(map(str, range(n)))


def trained_tables(found: Mapping[str, pd.DataFrame]) -> None:
    """AUROC of each arm beside its oracle, and how often each conclusion was found."""
    arms = [arm for arm in ARMS if arm in set(next(iter(found.values()))["arm"])]
    whole = [evaluated(predictions, arms) for predictions in found.values()]
    split = [
        evaluated(fold, arms) for predictions in found.values() for _, fold in predictions.groupby(["repeat", "fold"])
    ]
    oracle = oracle_aucs(n=40_000, rng=np.random.default_rng(2023))
    print(f"{len(found)} simulated studies, {len(split)} splits\n")
    print(f"| arm | oracle | AUROC in cross-validation | SD between studies | SD between splits |\n|{'---|' * 5}")
    for row, arm in enumerate(arms):
        of_studies = np.array([one.estimates[row] for one in whole])
        of_splits = np.array([one.estimates[row] for one in split])
        print(
            f"| {arm} | {oracle[ARMS[arm]]:.3f} | {of_studies.mean():.3f} | {of_studies.std(ddof=1):.3f} | "
            f"{of_splits.std(ddof=1):.3f} |"
        )
    for title, claims in (("Published", CLAIMS), ("Controls", CONTROLS)):
        print(f"\n| {title} | tested | mean difference | 2.5 to 97.5 % | found |\n|{'---|' * 5}")
        for claim, pair in claims.items():
            if set(pair) <= set(arms):
                print(f"| {claim} | a fifth | {row_of(pair, split)} |")
                print(f"| | all, five folds | {row_of(pair, whole)} |")


def evaluated(predictions: pd.DataFrame, arms: list[str]) -> DeLong:
    return delong(place(align_predictions(predictions, arms)))


def row_of(pair: tuple[str, str], studies: list[DeLong]) -> str:
    """Mean difference, its spread over the studies, and the share in which it is found."""
    differences = [study.difference(*pair) for study in studies]
    values = np.array([one.estimate for one in differences], dtype=float)
    is_found = np.array(
        [one.p_value is not None and one.p_value < 0.05 and (one.estimate or 0) > 0 for one in differences]
    )
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{values.mean():+.3f} | {low:+.3f} to {high:+.3f} | {100 * is_found.mean():.0f} %"


if __name__ == "__main__":
    main()
