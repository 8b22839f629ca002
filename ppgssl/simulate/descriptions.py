"""The descriptions of a simulated study, written as an analyst would write them."""

from __future__ import annotations

from string import Template

from ppgssl.simulate.findings import OUTCOME_LOG_ODDS, PARTS
from ppgssl.simulate.layouts import FS_HZ

_COHORT = Template("""\
# $title. Made by `ppgssl simulate`, seed $seed.
# Read it with: ppgssl ingest $folder.yaml --out stores/$name
name: $name
title: $title
description: >-
  $description
root: $folder  # relative to this file

signals:
$signals
$clinical
# The pulse lies below 8 Hz: 40 Hz keeps it, and halves the work.
signal:
  fs_hz: 40

segments:
  segment_s: 10
  step_s: 5
  min_sqi: 0.5

vitals:
  spo2_calibration: [110, -25]  # the curve that this simulation has
""")

_TRENDS = """\
    skip_rows: 1  # a line of the device, then the header
    columns: {sqi: SQI, heart_rate_bpm: HeartRate, spo2_percent: Saturation, perfusion_index_percent: Perfusion}"""

_SIGNALS = {
    "ts": f"""\
  files: signals/{{patient}}_spo2red.ts  # a binary file for each channel, and one of trends
  reader: binary
  options: {{dtype: float32, byte_order: little}}
  fs_hz: {FS_HZ}  # the files do not say it
  channels:
    # Raw transmitted light: its level has a meaning (AC/DC, SpO2), and the systolic upstroke points down.
    ppg_red: {{column: 0, unit: of full scale, has_baseline: true, inverted: true}}
    ppg_ir:
      {{column: 0, unit: of full scale, has_baseline: true, inverted: true, file: "signals/{{patient}}_spo2infra.ts"}}
  trends:
    file: signals/{{patient}}_spo2trends.csv
{_TRENDS}""",
    "text": f"""\
  # Text with a sample a line. Up to four recordings a child: readings 1 and 2 at admission (adm) and discharge (dis).
  files: "signals/{{patient}}_hospitalization_an_arm_1_spo2red{{recording:[12]}}_wav_oxi_{{visit:adm|dis}}.txt"
  reader: delimited
  fs_hz: {FS_HZ}  # the files do not say it
  channels:
    # Raw transmitted light: its level has a meaning (AC/DC, SpO2), and the systolic upstroke points down.
    ppg_red: {{column: 0, unit: of full scale, has_baseline: true, inverted: true}}
    ppg_ir:
      column: 0
      unit: of full scale
      has_baseline: true
      inverted: true
      file: "signals/{{patient}}_hospitalization_an_arm_1_spo2infra{{recording:[12]}}_wav_oxi_{{visit:adm|dis}}.txt"
  trends:
    file: "signals/{{patient}}_hospitalization_an_arm_1_spo2trends{{recording:[12]}}_oxi_{{visit:adm|dis}}.csv"
{_TRENDS}""",
    "wfdb": """\
  files: signals/{patient}.hea  # the header names the file of the samples, and says the sampling rate
  reader: wfdb
  channels:
    # Raw transmitted light: its level has a meaning (AC/DC, SpO2), and the systolic upstroke points down.
    ppg_red: {column: RED, unit: of full scale, has_baseline: true, inverted: true}
    ppg_ir: {column: INFRARED, unit: of full scale, has_baseline: true, inverted: true}""",
}

_CLINICAL = """
clinical:
  file: clinical.csv
  patient_column: patient_id
  missing: [""]
  variables:
    age_months: {kind: numeric, label: Age, unit: months, range: [0, 60]}
    sex: {kind: categorical, label: Sex, levels: {F: female, M: male}}
    weight_kg: {kind: numeric, label: Weight, unit: kg, range: [1, 40]}
    muac_cm: {kind: numeric, label: Mid-upper arm circumference, unit: cm, range: [5, 30]}
    temperature_c: {kind: numeric, label: Temperature, unit: °C, range: [33, 43]}
    heart_rate_bpm: {kind: numeric, label: Heart rate (spot check), unit: 1/min, range: [30, 250]}
    resp_rate_per_min: {kind: numeric, label: Respiratory rate (spot check), unit: 1/min, range: [5, 120]}
    spo2_pct: {kind: numeric, label: SpO2 (spot check), unit: "%", range: [50, 100]}
    # "yes" and "no" need their quotes: bare, YAML takes them for true and false.
    difficulty_breathing: {kind: binary, label: Difficulty breathing, levels: {"no": "no", "yes": "yes"}}
    can_drink_or_breastfeed: {kind: binary, label: Can drink or breastfeed, levels: {"no": "no", "yes": "yes"}}
    irritability: {kind: binary, label: Irritability, levels: {"no": "no", "yes": "yes"}}
    chest_indrawing: {kind: binary, label: Chest indrawing, levels: {"no": "no", "yes": "yes"}}
    prolonged_capillary_refill: {kind: binary, label: Capillary refill over 2 s, levels: {"no": "no", "yes": "yes"}}
    lethargy: {kind: binary, label: Lethargy, levels: {"no": "no", "yes": "yes"}}
    convulsions: {kind: binary, label: Convulsions, levels: {"no": "no", "yes": "yes"}}
    diarrhoea: {kind: binary, label: Diarrhoea, levels: {"no": "no", "yes": "yes"}}
    hospitalized: {kind: binary, label: Hospitalized, levels: {"no": "no", "yes": "yes"}}
"""

_STUDY = Template("""\
# Do features learnt from oximeter signals predict hospitalization, alone and beside clinical covariates?
# Simulated data, seed $seed. Run it with: ppgssl run study.yaml
name: demo
title: Pulse-oximeter signals and hospitalization in simulated children
description: >-
  A demonstration on simulated data: it shows that the pipeline works, and says nothing about real children.
out: run

cohorts:
  - {cohort: labelled.yaml, role: labelled}
  - {cohort: unlabelled.yaml, role: unlabelled}

inputs:
  channels:
    - {name: red, any_of: [ppg_red]}
    - {name: ir, any_of: [ppg_ir]}
  fs_hz: 40
  segment_s: 10
  step_s: 5
  min_sqi: 0.5
  normalisation: ac_dc  # keeps SpO2 (red against infrared) and perfusion; a z-score would lose both

outcome: hospitalized
covariates:  # those of Mwaniki et al. 2023
  - weight_kg
  - muac_cm
  - temperature_c
  - heart_rate_bpm
  - spo2_pct
  - difficulty_breathing
  - can_drink_or_breastfeed
  - irritability

# No `arms`: all of them.

# Sizes for a demonstration of a few minutes on a laptop. A real study deserves more of everything.
pretraining:
  objective: contrastive-masked-autoencoder
  exposure: per-fold  # test patients stay unseen, by pretraining too
  n_steps: 300
  batch_size: 64
  evaluate_every: 50
  validation_fraction: 0.15
network:
  n_epochs: 10
  freeze_epochs: 3
  patience: 4
validation:
  scheme: repeated-kfold
  n_folds: 3
  n_repeats: 2
  n_bootstrap: 2000
seed: $seed
""")

_README = Template("""\
# A simulated oximeter study

Nothing here comes from a real child. `ppgssl simulate` made it with seed $seed: the same version of the program and of
NumPy makes the same bytes again.

| file | content |
|---|---|
| `labelled/` | $n_labelled children, $n_events of them hospitalized: raw files in `signals/`, and `clinical.csv` |
| `unlabelled/` | $n_unlabelled recordings of inpatients, signals alone |
| `labelled.yaml`, `unlabelled.yaml` | descriptions of the two cohorts |
| `study.yaml` | the analysis: `ppgssl run study.yaml` |
| `truth.csv` | what the simulator knows and an analysis must not: keep it out of every cohort |

Each recording lasts $duration_s s at $fs_hz Hz (layout `$layout`): transmitted red and infrared light, as a share of
full scale. The systolic upstroke points down. SpO2 = 110 - 25 R, where R is AC/DC of red over AC/DC of infrared.

$truth
In `clinical.csv` about $missing_pct % of the covariates' cells are empty, at random.
""")

_TRUTH = Template("""\
Four hidden parts of illness, independent and of SD 1, drive vital signs, pulse shape, clinical signs and the outcome:
logit P(hospitalized) = intercept + $terms.
The mean of severity is $labelled_shift among the labelled and $shift among the unlabelled, those of the other parts
half of that.

`truth.csv` has a row for each recording: the parts, probability of the event, what was true of the child in that
minute (units in the names, definitions in `ppgssl/simulate/findings.py`), the device, and seconds of motion and of lost
contact.
""")


def cohort_yaml(layout: str, *, seed: int, n: int, is_labelled: bool, hospital: str = "") -> str:
    """Text of a ``cohort.yaml``; the hospital begins the cohort's name."""
    if is_labelled:
        name, title = "labelled", "Simulated outpatient children"
        description = f"{n} made-up children under five, seen as outpatients; some are hospitalized."
    else:
        name, title = "unlabelled", "Simulated inpatient children"
        description = f"{n} recordings of made-up children under five, sicker inpatients; no clinical table."
    return _COHORT.substitute(
        seed=seed,
        name=f"{hospital}_{name}" if hospital else name,
        folder=name,
        title=title,
        description=description,
        signals=_SIGNALS[layout],
        clinical=_CLINICAL if is_labelled else "",
    )


def study_yaml(*, seed: int) -> str:
    """Text of the ``study.yaml`` of a demonstration."""
    return _STUDY.substitute(seed=seed)


def readme(
    layout: str,
    *,
    seed: int,
    n_labelled: int,
    n_events: int,
    n_unlabelled: int,
    duration_s: float,
    missing_fraction: float,
    shifts: tuple[float, float],
) -> str:
    """Text of the ``README.md`` beside the files."""
    return _README.substitute(
        layout=layout,
        seed=seed,
        n_labelled=n_labelled,
        n_events=n_events,
        n_unlabelled=n_unlabelled,
        duration_s=f"{duration_s:g}",
        fs_hz=FS_HZ,
        missing_pct=f"{100 * missing_fraction:g}",
        truth=truth_text(shifts),
    )


def truth_text(shifts: tuple[float, float]) -> str:
    """How the outcome came about, and what ``truth.csv`` holds; shifts of the labelled and the unlabelled."""
    terms = " + ".join(f"{odds:g} {part}" for odds, part in zip(OUTCOME_LOG_ODDS, PARTS, strict=True))
    return _TRUTH.substitute(terms=terms, labelled_shift=f"{shifts[0]:g}", shift=f"{shifts[1]:g}")
