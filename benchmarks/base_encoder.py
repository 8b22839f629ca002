"""The encoder that comes with the package (`pretraining.init: base`): how it is made, and what it is worth.

    python benchmarks/base_encoder.py make --data DATA --work DIR [--steps 3000] [--children 500]
    python benchmarks/base_encoder.py compare --data DATA --work DIR [--steps 300] [--sets ppg_bp,mw_ppg,100,300]

``make`` simulates children of several hospitals, each with devices of its own, ingests them together with the public
sets whose licence allows it (DATA holds ``stress_predict`` and ``oximetry_phone``, both MIT), and pretrains one encoder
on one PPG channel with the defaults of ppgssl. It writes the encoder and its card into
``ppgssl/selfsupervised/base_encoder``. DIR keeps stores and checkpoint: a run that was stopped goes on.

``compare`` pretrains the encoders of small studies from random weights and from this encoder, both for so many steps,
and prints what the product's probe finds in each, and the difference with its 95 % interval over the same patients: of
``ppg_bp``, ``mw_ppg``, and studies of so many simulated children (a third of them hospitalized).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import ppgssl.data_schemas
import yaml

from ppgssl.core.config.loading import load_study
from ppgssl.core.provenance import fingerprint, read_run, write_atomically
from ppgssl.selfsupervised.encoder_io import load_encoder, read_model, save_encoder
from ppgssl.selfsupervised.initial_weights import decisive_settings
from ppgssl.selfsupervised.input_description import load_input_description, save_input_description
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.pretrain import pretrain
from ppgssl.stages.probe.assessment import as_table, assess
from ppgssl.stages.probe.measuring import Plan, measure
from ppgssl.stages.probe.probe import make_plan, pretrain_probes
from ppgssl.stages.simulate import simulate
from ppgssl.store.study_data import StudyData, load_study_data

BASE = Path(__file__).parents[1] / "ppgssl" / "selfsupervised" / "base_encoder"
FS_HZ, SEGMENT_S, STEP_S = 40, 10, 5
SEEDS = (20231, 20232, 20233, 20234)
"""Of simulated hospitals: no demonstration or benchmark has these."""
GRID = {"signal": {"fs_hz": FS_HZ}, "segments": {"segment_s": SEGMENT_S, "step_s": STEP_S}}
WRIST = {
    "name": "stress_predict",
    "title": "Wrist PPG of 20 adults over an hour of stress tasks",
    "root": "${PPGSSL_DATA}/stress_predict",
    "signals": {
        "files": "{patient:S[0-9]+}/BVP.csv",
        "reader": "delimited",
        "options": {"skip_rows": 2},  # start and rate
        "fs_hz": 64,
        "channels": {"ppg": {"column": 0, "inverted": False}},
    },
    **GRID,
}
PHONE = {
    "name": "oximetry_phone",
    "title": "Finger PPG of 6 adults by phone cameras in induced hypoxia",
    "root": "${PPGSSL_DATA}/oximetry_phone/camera",
    "signals": {
        "files": "{recording}/{patient}.csv",
        "reader": "delimited",
        "fs_hz": 30,
        "channels": {
            name: {"column": column, "has_baseline": True}
            for name, column in (("ppg_red", "R"), ("ppg_green", "G"), ("ppg_blue", "B"))
        },
    },
    **GRID,
}
SOURCES = [
    {
        "name": "simulated children",
        "licence": "none needed: made by ppgssl simulate",
        "source": f"ppgssl simulate, seeds {', '.join(map(str, SEEDS))}",
    },
    {
        "name": "stress_predict",
        "licence": "MIT, Copyright (c) 2022 Talha Iqbal",
        "source": "github.com/italha-d/Stress-Predict-Dataset, S01 to S20; Sensors 22(21):8135, 2022",
    },
    {
        "name": "oximetry_phone",
        "licence": "MIT, Copyright (c) 2020 UW Ubicomp Lab",
        "source": "github.com/ubicomplab/oximetry-phone-cam-data; npj Digital Medicine 5:146, 2022",
    },
]


def main() -> None:
    """Run the part that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["make", "compare"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--children", type=int, default=500, help="recordings of each simulated hospital")
    parser.add_argument("--stores", action="store_true", help="of make: simulate and ingest alone")
    parser.add_argument("--out", type=Path, default=BASE, help="of make: where the encoder goes")
    parser.add_argument("--sets", default="ppg_bp,mw_ppg,100,300", help="of compare")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if options.part == "make":
        make(options)
    else:
        compare(options)


# --- make -------------------------------------------------------------------------------------------------------


def make(options: argparse.Namespace) -> None:
    """Stores, then the encoder and its card."""
    study_file = write_study(options.work, options.data, options.children, options.steps or 3000)
    if options.stores:
        return
    study = load_study(study_file)
    out = options.work / "run"
    (job,) = pretrain(load_study_data(study, study_file, out), out, n_jobs=1, progress=shown)
    command = f"python benchmarks/base_encoder.py make --data DATA --work DIR --steps {study.pretraining.n_steps}"
    publish(job.folder, options.out, f"{command} --children {options.children}")


def shown(done: int, total: int, text: str = "") -> None:
    if done % 100 == 0:
        print(done, total, text, flush=True)


def write_study(work: Path, data: Path, n_children: int, n_steps: int) -> Path:
    """Simulate, ingest, and write the study; what is there already is left."""
    entries = []
    for seed in SEEDS:
        folder = work / f"hospital_{seed}"
        if not (folder / "truth.csv").is_file():
            shutil.rmtree(folder, ignore_errors=True)
            half = n_children // 2
            sizes = {"n_labelled": half, "n_unlabelled": half, "prevalence": 0.3}
            simulate(folder, layout="ts", hospital=f"base_{seed}", seed=seed, **sizes)
        for part in ("labelled", "unlabelled"):
            entries.append((folder / f"{part}.yaml", f"{seed}_{part}"))
    for cohort in (WRIST, PHONE):
        described = cohort | {"root": cohort["root"].replace("${PPGSSL_DATA}", str(data.resolve()))}
        path = work / f"{cohort['name']}.yaml"
        path.write_text(yaml.safe_dump(described))
        entries.append((path, cohort["name"]))
    for path, name in entries:
        summary = ingest(path, work / "stores" / name, n_jobs=1)
        print(name, summary.n_recordings, "recordings", flush=True)
    study: dict[str, Any] = {
        "name": "base_encoder",
        "out": "run",
        "cohorts": [
            {"store": f"stores/{name}", "role": "unlabelled" if number else "labelled"}
            for number, (_, name) in enumerate(entries)
        ],
        "inputs": {
            "channels": [{"name": "ppg", "any_of": ["ppg_ir", "ppg", "ppg_green"]}],
            "fs_hz": FS_HZ,
            "segment_s": SEGMENT_S,
            "step_s": STEP_S,
            "normalisation": "segment",
        },
        "outcome": "hospitalized",
        "arms": ["ssl-all"],
        "validation": {"n_folds": 2, "n_repeats": 1},
        "pretraining": {"n_steps": n_steps, "exposure": "transductive"},  # nobody is tested
    }
    path = work / "study.yaml"
    path.write_text(yaml.safe_dump(study, sort_keys=False))
    return path


def publish(found: Path, out: Path, command: str) -> None:
    """Write encoder, input, run.json and README.md of the encoder that lies in ``found``."""
    model, run = read_model(found), dict(read_run(found) or {})
    card = {**model["card"], "examples_sha256": None, "command": command, "sources": SOURCES}
    save_encoder(out, load_encoder(found), card)
    save_input_description(out, load_input_description(found))
    kept = {name: value for name, value in run.items() if name not in ("platform", "stores", "peak_memory_mb")}
    write_atomically(out / "run.json", json.dumps(kept, indent=0, ensure_ascii=False))
    write_atomically(out / "README.md", card_text(card, kept))


def card_text(card: dict[str, Any], run: dict[str, Any]) -> str:
    """What people should know before they start from the encoder."""
    inputs, history = run["inputs"], card["history"]
    made = run["versions"]
    sources = [f"| {one['name']} | {one['licence']} | {one['source']} |" for one in SOURCES]
    losses = [f"| {row['step']} | {row['validation_loss']:.3f} | {row['score'] or 0:.3f} |" for row in history]
    return "\n".join(
        [
            "# The encoder of `pretraining.init: base`",
            "",
            f"One PPG channel at {inputs['fs_hz']:g} Hz, segments of {inputs['segment_s']:g} s every "
            f"{inputs['step_s']:g} s, normalisation `{inputs['normalisation']}`, pass band 0.5 to 8 Hz. Settings: "
            "`model.json`. Made by:",
            "",
            f"    {card['command']}",
            "",
            f"It saw {run['n_patients']:,} people and {run['n_segments']:,} segments; `run.json` holds hashes of "
            "patients and recordings, so that nobody of them is tested. Seed "
            f"{run['seed']}; {card['history'][-1]['step']:,} steps, the weights of step {card['best_step']:,} were "
            f"kept; ppgssl {made['ppgssl']}, torch {made['torch']}; {card['seconds']:.0f} s on {card['device']}.",
            "",
            "| data | licence | source |",
            "|---|---|---|",
            *sources,
            "",
            f"| step | loss of held-out people | {card['score_name']} |",
            "|---|---|---|",
            *losses,
            "",
            "The children are simulated, and the real recordings are of healthy adults. It is a place to start from, "
            "not a model to predict with, and nothing is claimed about sick children.",
            "",
        ]
    )


# --- compare ----------------------------------------------------------------------------------------------------


def compare(options: argparse.Namespace) -> None:
    """A table: a row for each statistic of each quantity."""
    print("| study | quantity | statistic | random | base | base minus random |\n|---|---|---|---|---|---|")
    for name in options.sets.split(","):
        file = small_study(name, options)
        found = [probed(file, init, options) for init in ("random", "base")]
        _, plan, data = found[0]
        (random,) = plan.representations
        both = [replace(random, name="base"), replace(random, name="random", kind="baseline")]
        rows = [part.assign(representation=one) for one, (part, *_) in zip(("random", "base"), found, strict=True)]
        results = assess(pd.concat(rows), replace(plan, representations=both), data, made_of="", seconds=0)
        for one in as_table(results).query("is_own_part and statistic != 'mae'").groupby(["quantity", "statistic"]):
            print(line(name, *one), flush=True)


def line(study: str, about: tuple[str, str], rows: pd.DataFrame) -> str:
    base, random = (rows[rows["representation"] == name].iloc[0] for name in ("base", "random"))
    quantity = f"{about[0]} (n {base['n_patients']})"
    low, high = base["minus_random_ci_low"], base["minus_random_ci_high"]
    difference = f"{base['minus_random_estimate']:+.3f} ({low:+.3f} to {high:+.3f})"
    values = f"{random['estimate']:.3f} | {base['estimate']:.3f}"
    return f"| {study} | {quantity} | {about[1]} | {values} | {difference} |"


def probed(file: Path, init: str, options: argparse.Namespace) -> tuple[pd.DataFrame, Plan, StudyData]:
    """Rows of the SSL representation of a study."""
    study = load_study(file)
    settings = study.pretraining.model_copy(update={"init": init, "n_steps": options.steps or 300})
    study = study.model_copy(update={"pretraining": settings})
    out = file.parent / f"{init}_{fingerprint(decisive_settings(settings))[:8]}"
    data = load_study_data(study, file, file.parent)
    plan = make_plan(data)
    pretrain_probes(plan, data, out, n_jobs=1)
    (representation,) = plan.representations
    rows = [measure((representation, fold), plan, data, out, out) for fold in plan.folds]
    return pd.concat(rows), plan, data


def small_study(name: str, options: argparse.Namespace) -> Path:
    """A study with its store, ready to be probed."""
    folder = options.work / f"compare_{name}"
    folder.mkdir(exist_ok=True)
    examples = Path(ppgssl.data_schemas.__file__).parent / "examples" / "cohorts"
    if name.isdigit():
        sizes = {"n_labelled": int(name), "n_unlabelled": 1, "prevalence": 1 / 3, "seed": 7}
        if not (folder / "raw").is_dir():
            simulate(folder / "raw", layout="ts", **sizes)
        cohort, channels, outcome = folder / "raw" / "labelled.yaml", [["ppg_red"], ["ppg_ir"]], "hospitalized"
    else:
        os.environ["PPGSSL_DATA"] = str(options.data.resolve())
        cohort, channels = examples / f"{name}.yaml", [["ppg", "ppg_ir"]]
        outcome = "htn_binary" if name == "ppg_bp" else "gender"
    ingest(cohort, folder / "store", n_jobs=1)
    seconds = {"segment_s": 2, "step_s": 1} if name == "ppg_bp" else {"segment_s": SEGMENT_S, "step_s": STEP_S}
    inputs = {"channels": [{"name": names[-1], "any_of": names} for names in channels], "fs_hz": FS_HZ, **seconds}
    study = {
        "name": f"compare_{name}",
        "out": ".",
        "cohorts": [{"store": "store", "role": "labelled"}],
        "inputs": {**inputs, "normalisation": "segment"},
        "outcome": outcome,
        "arms": ["ssl-labelled"],
        "probe": {"baselines": [], "n_folds": 3, "variables": ["age_years"] if outcome == "htn_binary" else []},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    return folder / "study.yaml"


if __name__ == "__main__":
    main()
