"""The report of risks that were made elsewhere: a table of predictions -> ``results.json``.

The table has a row for each patient and repeat: ``patient, y_true``, a column of risks for each model, and ``repeat``
and ``fold`` where the risks are from a cross-validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ppgssl.core.config.arms import Arm
from ppgssl.core.config.study import Decisions
from ppgssl.core.errors import EvaluationError, ReadError
from ppgssl.core.provenance import Stopwatch, file_sha256, peak_memory_mb, system, utc_now, versions
from ppgssl.core.results.performance import ValidationSummary
from ppgssl.core.results.study import RESULTS_FILE, InputFile, Provenance, Results, save_results
from ppgssl.core.seeds import derive_seed
from ppgssl.core.text import suggest
from ppgssl.evaluation.arrays import predictions_table
from ppgssl.evaluation.performance import estimate_performance

KEYS = ("patient", "repeat", "fold", "y_true")
# Number of the first row of data in a spreadsheet: rows count from 1, and there is a header.
_FIRST_ROW = 2


@dataclass(frozen=True)
class PredictionsFile:
    """A checked table of risks: columns of models, in the order of the file, and what evaluation takes."""

    models: tuple[str, ...]
    predictions: pd.DataFrame


def evaluate_predictions(
    file: Path, out: Path, *, reference: str | None = None, n_resamples: int = 2000, seed: int = 2023
) -> Results:
    """Evaluate the risks of a file, and write ``results.json`` into ``out``.

    Parameters
    ----------
    file : Path
        See :func:`read_predictions`.
    out : Path
        Folder of the results; made if it is not there.
    reference : str, optional
        Model that the others are compared with; the first by default.
    n_resamples, seed : int
        Of the bootstrap; defaults and draws are those of a study.

    Raises
    ------
    ReadError, EvaluationError
        If the file cannot be read, breaks a rule of :func:`read_predictions`, has no model ``reference``, or an AUROC
        is not defined.
    """
    watch = Stopwatch()
    table = read_predictions(file)
    results = _results(table, file, _reference(table, reference), watch, n_resamples=n_resamples, seed=seed)
    out.mkdir(parents=True, exist_ok=True)
    save_results(results, out / RESULTS_FILE)
    return results


def read_predictions(file: Path) -> PredictionsFile:
    """Read and check a table of risks.

    Parameters
    ----------
    file : Path
        CSV (``.csv``) or Parquet (``.parquet``). Columns ``patient`` and ``y_true`` (0 or 1), one column of risks in
        0..1 for each model, whose name is the label, and ``repeat`` and ``fold`` (whole numbers), which may be absent:
        all rows are then of one model. A patient has one row in each repeat.

    Raises
    ------
    ReadError
        If the file is absent, has another ending, or is not such a table.
    EvaluationError
        If a value is missing or outside its range, a patient is twice in a repeat, the outcome of a patient changes, or
        all patients have the same outcome. The message names column and row.
    """
    frame = _read(file)
    models = [str(name) for name in frame.columns if name not in KEYS]
    absent = [name for name in ("patient", "y_true") if name not in frame.columns]
    if absent or not models:
        raise EvaluationError(
            f"{file}: the table needs the columns patient, y_true and one of risks for each model; repeat and fold are "
            f"optional. It has {', '.join(map(str, frame.columns))}: "
            + (f"{' and '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing." if absent else "no risks.")
        )
    if frame.empty:
        raise EvaluationError(f"{file}: the table has no rows")
    for name in ("repeat", "fold"):
        if name not in frame.columns:
            frame[name] = 0
    _check_values(frame, models, file)
    frame = frame.astype({"patient": str, "y_true": np.int64, "repeat": np.int64, "fold": np.int64})
    _check_patients(frame, file)
    scores = {name: frame[name].astype(float) for name in models}
    keys = {"patient_id": frame["patient"], "repeat": frame["repeat"], "fold": frame["fold"]}
    return PredictionsFile(tuple(models), predictions_table(frame["y_true"], scores, **keys))


# --- reading and checks ----------------------------------------------------------------------------------------


def _read(file: Path) -> pd.DataFrame:
    ending = file.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise ReadError(file, "predictions are read from .csv and .parquet files. Save the table as one of them.")
    try:
        if ending == ".parquet":
            return pd.read_parquet(file)
        # The default parser is off by a rounding error, and results would be too.
        return pd.read_csv(file, dtype={"patient": str}, float_precision="round_trip")
    except FileNotFoundError:
        raise ReadError(file, "there is no such file. Name the table of predictions.") from None
    except (OSError, ValueError) as error:
        problem = "cannot be read as {suffix} table: {error}"
        raise ReadError(file, problem, suffix=ending, error=str(error).splitlines()[0]) from None


def _check_values(frame: pd.DataFrame, models: Sequence[str], file: Path) -> None:
    for name in frame.columns:
        _check(frame, file, str(name), frame[name].notna().to_numpy(), "a value; leave out such rows in all models")
    for name in ("y_true", "repeat", "fold", *models):
        values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=float)  # NaN breaks every rule
        if name == "y_true":
            _check(frame, file, name, np.isin(values, (0, 1)), "0 or 1")
        elif name in KEYS:
            _check(frame, file, name, np.isfinite(values) & (values == np.round(values)), "a whole number")
        else:
            _check(frame, file, name, (values >= 0) & (values <= 1), "a risk in 0 to 1")


def _check(frame: pd.DataFrame, file: Path, column: str, is_right: np.ndarray, expected: str) -> None:
    if is_right.all():
        return
    row = int(np.flatnonzero(~is_right)[0])
    value = frame[column].iloc[row]
    shown = "nothing" if pd.isna(value) else repr(value.item() if isinstance(value, np.generic) else value)
    raise EvaluationError(
        f"{file}: column {column!r}, row {row + _FIRST_ROW}: expected {expected}, and found {shown} "
        f"({int((~is_right).sum())} of {len(frame)} rows)"
    )


def _check_patients(frame: pd.DataFrame, file: Path) -> None:
    repeated = frame.duplicated(["repeat", "patient"]).to_numpy()
    if repeated.any():
        row = int(np.flatnonzero(repeated)[0])
        raise EvaluationError(
            f"{file}: row {row + _FIRST_ROW}: patient {frame['patient'].iloc[row]} is twice in repeat "
            f"{frame['repeat'].iloc[row]}. A patient has one row in each repeat."
        )
    outcomes = frame.groupby("patient")["y_true"]
    changing = outcomes.nunique()
    if (changing > 1).any():
        raise EvaluationError(
            f"{file}: column 'y_true': the outcome of {int((changing > 1).sum())} patient(s) differs between rows, for "
            f"example of {changing.index[changing > 1][0]}. A patient has one outcome."
        )
    n_events, n_patients = int(outcomes.first().sum()), len(changing)
    if n_events in (0, n_patients):
        raise EvaluationError(
            f"{file}: column 'y_true': {n_events} of {n_patients} patients have the event, and both outcomes are needed"
        )


def _reference(table: PredictionsFile, name: str | None) -> str:
    if name is not None and name not in table.models:
        raise EvaluationError(
            f"the reference {name!r} is not a model of the table{suggest(name, table.models)}; there are "
            f"{', '.join(table.models)}"
        )
    return name or table.models[0]


# --- results ---------------------------------------------------------------------------------------------------


def _results(
    table: PredictionsFile, file: Path, reference: str, watch: Stopwatch, *, n_resamples: int, seed: int
) -> Results:
    pairs = {model: reference for model in table.models if model != reference}
    reached = estimate_performance(
        table.predictions,
        table.models,
        Decisions(),
        references={"difference": pairs},
        n_resamples=n_resamples,
        seed=derive_seed(seed, "bootstrap"),
    )
    ranking, aligned = reached.discrimination, reached.aligned
    folds = pd.DataFrame({"repeat": aligned.repeat, "fold": aligned.fold})
    of_study = ("covariate_labels", "flow", "findings", "table_one", "quality", "examples", "pretraining")
    nothing: dict[str, Any] = {name: [] for name in of_study}
    return Results(
        name=file.stem,
        title=f"Evaluation of the predictions in {file.name}",
        outcome="y_true",
        outcome_label="y_true",
        event_label="1",
        **nothing,
        validation=ValidationSummary(
            scheme="predictions",
            n_folds=int(folds.groupby("repeat")["fold"].nunique().max()),
            n_repeats=folds["repeat"].nunique(),
            n_patients=ranking.n_patients,
            n_events=ranking.n_events,
            n_test_patients=ranking.n_patients,
            n_bootstrap=n_resamples,
            n_bootstrap_skipped=ranking.n_skipped,
        ),
        arms=[
            reached.arm_result(
                model, Arm(model, model), learner="external", is_transductive=False, n_features=None, seconds=0.0
            )
            for model in table.models
        ],
        decision_references=reached.decisions.references,
        provenance=Provenance(
            created_utc=utc_now(),
            versions=versions(),
            platform=system(),
            seed=seed,
            inputs=[InputFile(name=f"predictions {file.name}", sha256=file_sha256(file))],
            study={},
            cohorts=[],
            stage_seconds={"evaluate": round(watch.seconds(), 2)},
            stage_peak_memory_mb={"evaluate": round(peak_memory_mb(), 1)},
        ),
    )
