"""The descriptions of a simulated study, written as an analyst would write them."""

from __future__ import annotations

from string import Template

COHORT_YAML = Template("""\
# $title. Made by `ppgssl simulate`, seed $seed.
# Read it with: ppgssl ingest $name.yaml --out stores/$name
name: $name
title: $title
description: >-
  $description
root: $name  # relative to this file

signals:
  files: signals/{patient}.csv  # one recording a patient
  reader: delimited
  options:
    layout: columns
    delimiter: ","
  fs_hz: $fs_hz  # the files do not say it
  channels:
    # Raw transmitted light: its level has a meaning (AC/DC, SpO2), and the systolic upstroke points down.
    ppg_red: {column: red, unit: adc, has_baseline: true, inverted: true}
    ppg_ir: {column: infrared, unit: adc, has_baseline: true, inverted: true}
$clinical
# The pulse lies below 8 Hz: 40 Hz keeps it, and halves the work.
signal:
  fs_hz: 40

segments:
  segment_s: 10
  step_s: 5
  min_sqi: 0.5
""")

CLINICAL_YAML = """
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
    hospitalized: {kind: binary, label: Hospitalized, levels: {"no": "no", "yes": "yes"}}
"""

STUDY_YAML = Template("""\
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

README = Template("""\
# A simulated oximeter study

Nothing here comes from a real child. `ppgssl simulate` made it with seed $seed: the same version of the program and of
NumPy makes the same bytes again.

| file | content |
|---|---|
| `labelled/` | $n_labelled children, $n_events of them hospitalized: `signals/<patient>.csv` and `clinical.csv` |
| `unlabelled/` | $n_unlabelled sicker inpatients, signals alone |
| `labelled.yaml`, `unlabelled.yaml` | descriptions of the two cohorts |
| `study.yaml` | the analysis: `ppgssl run study.yaml` |
| `truth.csv` | what the simulator knows and an analysis must not: keep it out of every cohort |

Each recording lasts $duration_s s at $fs_hz Hz: transmitted red and infrared light in ADC counts (16 bit). The
systolic upstroke points down. SpO2 = 110 - 25 R, where R is AC/DC of red over AC/DC of infrared.

Severity of illness, one number a child (SD 1; mean 0 in `labelled`, 1 in `unlabelled`), drives vital signs, pulse
shape, clinical signs and the outcome: logit P(hospitalized) = intercept + $log_odds severity. In `clinical.csv` about
$missing_pct % of the covariates' cells are empty, at random.

`truth.csv` holds, for the minute of the recording: severity, temperature, heart rate (mean), respiratory rate, SpO2,
perfusion index (infrared, peak to trough over baseline), vascular tone, heart-rate variability (SD over mean), share of
breathing in the pulse amplitude, probability of the event, and seconds of motion and of lost contact.
""")
