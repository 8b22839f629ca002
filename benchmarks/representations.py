"""What does a representation predict, alone and beyond covariates? Several simulated studies.

    python benchmarks/representations.py seeds --seeds 5 --out FOLDER [--parallel 2] [--pretraining '{n_steps: 1000}']
    python benchmarks/representations.py table --out FOLDER

``seeds``: for each seed the 1,031 + 6,547 recordings of ``simulate --layout mwaniki2023 --seed SEED`` are ingested by
the recipe ``study_defaults.yaml``, and two encoders are pretrained on what the first fold may see: all recordings, and
the labelled ones. Their features, those of the untrained encoder and hand-crafted ones (``pulse-wave``, and with them
``rhythm``, neurokit2's variability of the heart rate over the whole recording) go, alone and with the covariates,
through the product's ridge regression in two repeats of five folds. So most of these recordings were among those the
encoders were pretrained on; no outcome and no true value was. FOLDER keeps everything; a seed that is done is not run
again.

``table`` prints, over the seeds in FOLDER: the mean AUROC of each arm and its oracle; paired differences, of which
the interval is that of the mean over the studies (DeLong's variance of each study); and the R2 with which ridge
regression predicts each finding of the simulator (see ``benchmarks/truth.py``).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from joblib import Parallel, delayed
from power import COHORTS, RECIPE, evaluated
from sklearn.model_selection import StratifiedKFold
from truth import known_of, true_values

from ppgssl.classifiers.risk_model import RiskModel
from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.loading import load_study, load_yaml
from ppgssl.core.config.pretraining import Pretraining
from ppgssl.core.records import FloatArray
from ppgssl.core.seeds import derive_seed
from ppgssl.core.tasks import limit_threads
from ppgssl.features.depths import Depths
from ppgssl.features.fold_features import FoldFeatures
from ppgssl.features.pooling import feature_names, pool_to_patients
from ppgssl.features.recordings import recording_features
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import describe_study_input, save_input_description, study_bank
from ppgssl.selfsupervised.loop import pretrain
from ppgssl.selfsupervised.study_encoders import (
    EncoderJob,
    held_out_patients,
    initial_encoder,
    initial_seed,
    seen_segments,
)
from ppgssl.simulate.oracle import oracle_aucs
from ppgssl.simulate.published import N_LABELLED, N_UNLABELLED, simulate_published
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.leakage import FittedParts
from ppgssl.store.study_data import StudyData, load_study_data

N_REPEATS, N_FOLDS = 2, 5
ENCODERS = ("untrained", "ssl-labelled", "ssl-all")
COMPARISONS = (
    ("ssl-all", "pulse-wave"),
    ("ssl-all", "pulse-wave+rhythm"),
    ("ssl-all", "untrained"),
    ("ssl-all", "ssl-labelled"),
    ("ssl-all+pulse-wave", "pulse-wave"),
    ("ssl-all+pulse-wave", "ssl-all"),
    ("covariates+ssl-all", "covariates"),
    ("covariates+ssl-all", "covariates+pulse-wave"),
    ("covariates+ssl-all", "covariates+pulse-wave+rhythm"),
    ("covariates+ssl-all", "covariates+untrained"),
    ("covariates+ssl-all", "covariates+ssl-labelled"),
)


def main() -> None:
    """Run the part that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["seeds", "table"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--pretraining", default="{}", help="Changes of `pretraining`, as YAML.")
    parser.add_argument("--patients", type=int, default=N_LABELLED)
    parser.add_argument("--unlabelled", type=int, default=N_UNLABELLED)
    options = parser.parse_args()
    if options.part == "seeds":
        pretraining = Pretraining.model_validate(yaml.safe_load(options.pretraining))
        sizes = options.patients, options.unlabelled
        Parallel(n_jobs=options.parallel)(
            delayed(run_seed)(seed, options.out.resolve() / f"seed{seed}", pretraining, *sizes)
            for seed in range(1, options.seeds + 1)
        )
    tables(sorted(options.out.glob("seed*/scores.json")))


# --- one study --------------------------------------------------------------------------------------------------


def run_seed(seed: int, work: Path, pretraining: Pretraining, n_labelled: int, n_unlabelled: int) -> None:
    """One study: raw files, stores, two encoders, predictions of every arm."""
    if (work / "scores.json").is_file():
        return
    limit_threads(1)
    data = study_of(seed, work, n_labelled, n_unlabelled)
    data = replace(data, study=data.study.model_copy(update={"pretraining": pretraining}))
    truth = true_values(work / "data" / "truth.csv", data.y.index)
    fold, tables, known = data.folds[0], {}, {}
    inputs = FoldFeatures(fold, data, work / "run", FittedParts(fold.name, data.shared_signals))
    tables["pulse-wave"] = inputs["pulse-wave"].transform(data)
    rhythm = recording_features("rhythm", data, list(data.y.index), work / "run")
    tables["pulse-wave+rhythm"] = pd.concat([tables["pulse-wave"], rhythm], axis=1)
    bank = study_bank(data, describe_study_input(data, ~data.of_patients([*fold.test, *fold.linked])))
    for name in ENCODERS:
        encoder = initial_encoder(data, fold) if name == "untrained" else pretrained(name, data, work)
        tables[name], parts = embedded(encoder, data, bank)
        for part in ("moments", "readouts") if name == "ssl-all" else ():
            known[f"{name}, {part}"] = known_of(parts[part], truth)
    known |= {name: known_of(table.to_numpy(dtype=float), truth) for name, table in tables.items()}
    tables["ssl-all+pulse-wave"] = pd.concat([tables["ssl-all"], tables["pulse-wave"]], axis=1)
    risks(data, inputs, tables).to_parquet(work / "predictions.parquet", index=False)
    (work / "scores.json").write_text(json.dumps(known, indent=1), encoding="utf-8")
    print(f"seed {seed} done", flush=True)


def study_of(seed: int, work: Path, n_labelled: int, n_unlabelled: int) -> StudyData:
    """The simulated study of a seed, made unless it is there."""
    file = work / "study.yaml"
    if not file.is_file():
        simulate_published(work / "data", n_labelled=n_labelled, n_unlabelled=n_unlabelled, seed=seed)
        raw = load_yaml(RECIPE / "study_defaults.yaml") | {"seed": seed, "cohorts": []}
        raw["validation"] = {"n_repeats": 1}
        for name, role in COHORTS.items():
            cohort = load_yaml(RECIPE / f"{name}.yaml") | {"root": str(work / "data" / name)}
            (work / f"{name}.yaml").write_text(yaml.safe_dump(cohort, allow_unicode=True), encoding="utf-8")
            raw["cohorts"].append({"cohort": f"{name}.yaml", "store": str(work / "stores" / name), "role": role})
            ingest(work / f"{name}.yaml", work / "stores" / name, n_jobs=1)
        file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    return load_study_data(load_study(file), file, work / "run")


def pretrained(name: str, data: StudyData, work: Path) -> EncoderNetwork:
    """The encoder of the first fold; read if it is there."""
    fold = data.folds[0]
    job = EncoderJob(name, fold, work / "encoders" / name, is_transductive=False)
    seen = seen_segments(job, data)
    seed = derive_seed(data.study.seed, "held-out patients", fold.name)
    is_held_out = data.of_patients(sorted(held_out_patients(data, seen, seed=seed)))
    description = describe_study_input(data, seen & ~is_held_out)
    found = pretrain(
        study_bank(data, description),
        np.flatnonzero(seen & ~is_held_out),
        np.flatnonzero(seen & is_held_out),
        data.study.pretraining,
        fs_hz=data.study.inputs.fs_hz,
        seed=initial_seed(data, fold),
        folder=job.folder,
        patients=data.segments.patient_code,
        recordings=data.segments.recording_code,
    )
    save_input_description(job.folder, description)
    print(f"{work.name} {name}: {found.history[-1].step} steps in {found.seconds:.0f} s", flush=True)
    return found.encoder


def embedded(encoder: EncoderNetwork, data: StudyData, bank: SegmentBank) -> tuple[pd.DataFrame, dict[str, FloatArray]]:
    """The representation of each labelled patient, and its parts."""
    patients = data.segments.table["patient"].to_numpy()
    index = np.flatnonzero(data.of_patients(list(data.y.index)))
    depths = Depths(encoder)
    features = np.concatenate([depths(bank.gather(index[i : i + 1024]).numpy()) for i in range(0, len(index), 1024)])
    table = pool_to_patients(features, patients[index], feature_names(encoder)).reindex(data.y.index)
    return table, {name: table.to_numpy()[:, columns] for name, columns in depths.parts.items()}


def risks(data: StudyData, inputs: FoldFeatures, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Out-of-fold risks by ridge regression: each representation alone and with the covariates, and these alone."""
    covariates = inputs.arm_table(parse_arm("covariates")).transform(data)
    assert isinstance(covariates, pd.DataFrame)  # the arm is no network
    arms = {"covariates": covariates, **tables}
    arms |= {f"covariates+{name}": pd.concat([covariates, table], axis=1) for name, table in tables.items()}
    columns = {name: inputs.arm_table(parse_arm(name)).columns(table) for name, table in arms.items()}
    y, rows = data.y.to_numpy(), []
    for repeat in range(N_REPEATS):
        splits = StratifiedKFold(N_FOLDS, shuffle=True, random_state=repeat).split(y, y)
        for number, (train, test) in enumerate(splits):
            for name, table in arms.items():
                model = RiskModel("ridge", columns=columns[name], seed=repeat)
                risk = model.fit(table.iloc[train], y[train]).predict_proba(table.iloc[test])[:, 1]
                of_fold = {"patient_id": data.y.index[test], "y_true": y[test], "y_score": risk}
                rows.append(pd.DataFrame(of_fold).assign(arm=name, repeat=repeat, fold=number))
    return pd.concat(rows, ignore_index=True)


# --- tables -----------------------------------------------------------------------------------------------------


def tables(files: list[Path]) -> None:
    """What the seeds say together."""
    predictions = [pd.read_parquet(file.with_name("predictions.parquet")) for file in files]
    arms = list(dict.fromkeys(predictions[0]["arm"]))
    studies = [evaluated(one, arms) for one in predictions]
    oracle = oracle_aucs(n=40_000, rng=np.random.default_rng(2023))
    print(f"{len(files)} simulated studies: {', '.join(file.parent.name for file in files)}\n")
    print("| arm | mean AUROC | of each study | oracle |\n|---|---|---|---|")
    for number, arm in enumerate(arms):
        aucs = [float(one.estimates[number]) for one in studies]
        best = oracle[arm if arm == "covariates" else "covariates+waveform" if "covariates" in arm else "waveform"]
        print(f"| {arm} | {np.mean(aucs):.3f} | {' '.join(f'{one:.3f}' for one in aucs)} | {best:.3f} |")
    print("\n| difference of AUROC | mean (95 % interval) | of each study |\n|---|---|---|")
    for pair in (one for one in COMPARISONS if set(one) <= set(arms)):
        found = [one.difference(*pair) for one in studies]
        values = np.array([one.estimate for one in found], dtype=float)
        se = np.array([(one.ci_high - one.ci_low) / (2 * 1.959964) for one in found], dtype=float)
        mean, half = values.mean(), 1.959964 * np.sqrt((se**2).sum()) / len(se)
        shown = " ".join(f"{one:+.3f}" for one in values)
        print(f"| {' - '.join(pair)} | {mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f}) | {shown} |")
    known: list[dict[str, Any]] = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    print(f"\n| R2, mean over the studies | {' | '.join(known[0])} |\n|{'---|' * (len(known[0]) + 1)}")
    for finding in next(iter(known[0].values())):
        cells = [f"{np.mean([one[name][finding] for one in known]):.2f}" for name in known[0]]
        print(f"| {finding} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
