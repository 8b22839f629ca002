"""What features know of the truth of simulated children, and what the outcome needs of it.

    python benchmarks/truth.py STUDY.yaml --out RUN --truth DATA/truth.csv [--features pulse-wave,untrained,ssl-all]

STUDY is a study of simulated recordings that was run into RUN, and ``truth.csv`` lies beside its recordings. Prints
a row for each finding that shapes a recording: the R2 with which ridge regression tells it from each kind of features
(five folds over the labelled patients, on the scale on which the finding is linear in illness), the AUROC that this
finding alone allows, and the AUROC of the waveform without it. Last comes the AUROC of the outcome by logistic ridge
regression on the features, in four repeats of five folds. Encoders are those of the first fold, so most of these
recordings were among those they were pretrained on; no true value was.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ppgssl.core.config.loading import load_study
from ppgssl.core.records import FloatArray
from ppgssl.evaluation.probes import linear_probe
from ppgssl.evaluation.ranked_pairs import auroc
from ppgssl.features.fold_features import FoldFeatures
from ppgssl.simulate.findings import Population, population_of
from ppgssl.simulate.oracle import InformationSet, oracle_aucs
from ppgssl.store.leakage import FittedParts
from ppgssl.store.study_data import load_study_data

BEATS = ("heart_rate_variability", "sinus_arrhythmia")
N_REPEATS = 4


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--features", default="pulse-wave,untrained,ssl-labelled,ssl-all")
    options = parser.parse_args()
    data = load_study_data(load_study(options.study), options.study, options.out)
    truth = true_values(options.truth, data.y.index)
    fold = data.folds[0]
    inputs = FoldFeatures(fold, data, options.out, FittedParts(fold.name, data.shared_signals))
    found = {name: inputs[name].transform(data).to_numpy(dtype=float) for name in options.features.split(",")}
    known = {name: known_of(features, truth) for name, features in found.items()}
    print(f"{len(data.y)} children, {int(data.y.sum())} with the outcome\n")
    print(f"| R2 | {' | '.join(known)} | AUROC alone | waveform without it |\n|{'---|' * (len(known) + 3)}")
    worth = worth_of(population_in(truth))
    for name in truth:
        cells = [f"{of_name[name]:.2f}" for of_name in known.values()]
        print(f"| {name} | {' | '.join(cells)} | {' | '.join(worth.get(name, ('', '')))} |")
    outcome = data.y.to_numpy()
    cells = [f"{outcome_auroc(features, outcome):.3f}" for features in found.values()]
    print(f"| AUROC of the outcome | {' | '.join(cells)} | | |")
    print(f"\nAll of the waveform: {worth['all'][0]}; without {' and '.join(BEATS)}: {worth['no beats'][0]}")


def population_in(truth: pd.DataFrame) -> Population:
    """The population that has these columns."""
    children = "garde2016" if "spo2_variation_pct" in truth else "mwaniki2023"
    return population_of(children, hidden_dynamics="autonomic" in truth)


def true_values(file: Path, patients: pd.Index) -> pd.DataFrame:
    """Findings and parts, each on its scale, rows in the order of ``patients``."""
    table = pd.read_csv(file)
    table = table.set_index(table["cohort"] + "/" + table["patient_id"].astype(str))
    table = table[~table.index.duplicated()].loc[patients]
    table["desaturation_pct"] = 100 - table["spo2_pct"]
    population = population_in(table)
    values = {name: np.log(table[name]) if one.is_log else table[name] for name, one in population.recorded.items()}
    values["sinus_arrhythmia"] = np.log(table["sinus_arrhythmia"] / (1 - table["sinus_arrhythmia"]))
    values |= {name: np.arctanh(value) for name, value in values.items() if name.endswith("_coupling")}
    return pd.DataFrame(values | {part: table[part] for part in population.parts})


def known_of(features: FloatArray, truth: pd.DataFrame) -> dict[str, float]:
    """R2 of each column of the truth, told by patients who were not fitted to."""
    folds = list(KFold(5, shuffle=True, random_state=0).split(features))
    found = {}
    for name, values in truth.items():
        predicted = np.empty(len(values))
        for train, test in folds:
            predicted[test] = linear_probe(features[train], values.to_numpy()[train], features[test])
        found[str(name)] = float(r2_score(values, predicted))
    return found


def outcome_auroc(features: FloatArray, outcome: FloatArray) -> float:
    """Mean over the folds; the penalty is chosen in inner folds."""
    penalties = {"C": np.logspace(-5, 0, 11)}
    chosen = GridSearchCV(LogisticRegression(max_iter=2000), penalties, cv=5, scoring="neg_log_loss")
    model = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), chosen)
    aucs = []
    for seed in range(N_REPEATS):
        folds = StratifiedKFold(5, shuffle=True, random_state=seed)
        risk = cross_val_predict(model, features, outcome, cv=folds, method="predict_proba")[:, 1]
        aucs += [auroc(outcome[tested] == 1, risk[tested]) for _, tested in folds.split(features, outcome)]
    return float(np.mean(aucs))


def worth_of(population: Population) -> dict[str, tuple[str, ...]]:
    """AUROC of each finding alone, and of all others together."""
    recorded = tuple(population.recorded)
    sets = {"all": InformationSet(recorded)}
    sets["no beats"] = InformationSet(tuple(name for name in recorded if name not in BEATS))
    for name in recorded:
        sets[f"only {name}"] = InformationSet((name,))
        sets[f"no {name}"] = InformationSet(tuple(other for other in recorded if other != name))
    aucs = oracle_aucs(n=20_000, sets=sets, population=population, rng=np.random.default_rng(2023))
    worth = {name: (f"{aucs[f'only {name}']:.3f}", f"{aucs[f'no {name}']:.3f}") for name in recorded}
    return worth | {name: (f"{aucs[name]:.3f}",) for name in ("all", "no beats")}


if __name__ == "__main__":
    main()
