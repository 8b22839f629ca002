"""The encoder that comes with the package (`pretraining.init: base`): how it is made, and what it is worth.

    python benchmarks/base_encoder.py make --data DATA --work DIR [--steps 3000] [--children 500]
    python benchmarks/base_encoder.py compare --data DATA --work DIR [--steps 300] [--sizes 100,300]

``make`` simulates children of several hospitals, each with devices of its own, ingests them together with the public
sets whose licence allows it (DATA holds ``stress_predict`` and ``oximetry_phone``, both MIT), and pretrains one encoder
on one PPG channel with the defaults of ppgssl. It writes the encoder and its card into
``ppgssl/selfsupervised/base_encoder``. DIR keeps stores and checkpoint: a run that was stopped goes on.

``compare`` pretrains encoders of small studies from random weights and from this encoder, both for so many steps, and
prints what they know: the probe of ``ppg_bp`` and ``mw_ppg``, and on simulated studies the R2 of findings and the AUROC
of the outcome. Intervals are of patients, for the difference of the same patients (:mod:`ppgssl.evaluation`).
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import yaml

from ppgssl.core.config.loading import load_study
from ppgssl.core.provenance import read_run, write_atomically
from ppgssl.selfsupervised.encoder_io import load_encoder, read_model, save_encoder
from ppgssl.selfsupervised.input_description import load_input_description, save_input_description
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.stages.pretrain import pretrain
from ppgssl.stages.simulate import simulate
from ppgssl.store.study_data import load_study_data

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
    options = parser.parse_args()
    make(options)


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
            simulate(folder, layout="ts", hospital=f"base_{seed}", n_labelled=half, n_unlabelled=half, seed=seed)
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


if __name__ == "__main__":
    main()
