"""A frozen model on patients of another place: what it is worth there, what would mend it, and what is different."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd

from ppgssl.classifiers.imputation import missing_data
from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.cohort import Cohort, Privacy, PseudonymKey
from ppgssl.core.config.loading import cohort_root, load_cohort, save_description
from ppgssl.core.config.study import Decisions, Study, Validation
from ppgssl.core.errors import ConfigError, EvaluationError, LeakageError
from ppgssl.core.parallel import Progress, silent
from ppgssl.core.provenance import Stopwatch, fingerprint, peak_memory_mb, system, utc_now, versions, write_atomically
from ppgssl.core.records import FloatArray
from ppgssl.core.results.data import CohortFlow, Exclusion, Finding, LeakageCheck
from ppgssl.core.results.performance import ArmResult, OperatingPoint, ValidationSummary
from ppgssl.core.results.robustness import ShiftMeasure
from ppgssl.core.results.study import RESULTS_FILE, InputFile, Provenance, Results, save_results
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.discrimination import Discrimination
from ppgssl.evaluation.operating_points import judge_operating_points
from ppgssl.evaluation.performance import Performance, estimate_performance
from ppgssl.evaluation.predictions import PREDICTION_COLUMNS, AlignedPredictions
from ppgssl.evaluation.recalibration import LABELS, METHODS, Recalibration, cross_recalibrated, fit_recalibration
from ppgssl.evaluation.subgroups import subgroups
from ppgssl.evaluation.table_one import table_one
from ppgssl.features.patient_table import clinical_variables
from ppgssl.models.folder import FittedModel, load_model
from ppgssl.readers.privacy.secret_key import key_path
from ppgssl.stages.deploy.model_inputs import check_store, known_as, site_cohort, site_data, site_dictionary
from ppgssl.stages.deploy.new_patients import check_channels
from ppgssl.stages.deploy.predict import RisksOfPatients, refusal, risks_of
from ppgssl.stages.deploy.shift import measure_shift, shift_findings
from ppgssl.stages.evaluate.acquisition import acquisition_checks
from ppgssl.stages.evaluate.examples import channel_quality, example_waveforms
from ppgssl.stages.evaluate.flow import cohort_flow, findings
from ppgssl.stages.ingest.ingest import ingest
from ppgssl.store.assembly import patient_key
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import COHORT_FILE, FORMAT_FILE, CohortStore

FROZEN = "frozen"
PREDICTIONS_FILE = "predictions.parquet"
_N_NAMED = 5
# Thresholds of 0 and 1 are at the ends of what a study may give.
_NEAREST = 1e-9


@dataclass(frozen=True)
class ExternalValidation:
    """What :func:`validate_model` found.

    Attributes
    ----------
    results : Results
        As they are in ``results.json``: the frozen model is the first arm, what recalibration would make of it follows.
    recalibrations : list of Recalibration
        Those that could be fitted; each is kept beside the results, for ``ppgssl predict --recalibration``.
    warnings : tuple of str
        What a reader must not miss.
    """

    results: Results = field(repr=False)
    recalibrations: list[Recalibration]
    warnings: tuple[str, ...]


def validate_model(
    model: FittedModel | Path,
    source: Path,
    out: Path,
    *,
    n_jobs: int = -1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> ExternalValidation:
    """Judge a frozen model on a cohort with outcomes, and write ``results.json`` into a folder.

    The model stays as it is. Beside it stand its risks recalibrated in the large, and by slope, as they would be for
    the next patients: each patient's by what the other patients told (ten-fold). Recalibration does not change the
    order of patients, so discrimination is that of the frozen model. Patients whom the model has seen, by their key
    or by a recording, are left out and told of.

    Parameters
    ----------
    model : FittedModel, or Path of its folder
    source : Path
        A ``cohort.yaml``, which is ingested into ``out/store`` by the model's rules, or a store that was made by them.
    out : Path
        Folder of the results.
    n_jobs : int
        Processes of ingest; -1 is one a core.
    scheduler : str, optional
        Address of a Dask scheduler (``tcp://host:port``) whose workers ingest.
    progress : Progress
        Of ingest.

    Raises
    ------
    ConfigError
        If the cohort has no outcome, or clinical variables that are not those of the model.
    StoreError
        If a store was made by other rules, or no segment is accepted.
    LeakageError
        If the model has seen all patients.
    EvaluationError
        If the patients that are left have one outcome alone.
    """
    watch = Stopwatch()
    if isinstance(model, Path):
        model = load_model(model)
    out.mkdir(parents=True, exist_ok=True)
    store, notes = _opened(model, source, out, n_jobs, scheduler, progress)
    validating = _Validating(model, store, notes)
    results = validating.results(watch)
    validating.table().to_parquet(out / PREDICTIONS_FILE, index=False)
    for one in validating.recalibrations:
        write_atomically(out / f"recalibration-{one.method}.json", one.model_dump_json(indent=1))
    save_results(results, out / RESULTS_FILE)
    made = fingerprint([model.fingerprint, store.fingerprint()])
    watch.write(out, "external validation", made_of=made, model=model.fingerprint, store=store.fingerprint())
    warnings = [*model.warnings, *(one.text for one in results.findings if one.kind.startswith(_OF_MODEL))]
    return ExternalValidation(results, validating.recalibrations, tuple(warnings))


_OF_MODEL = ("Model", "Unlike the training patients")


def _opened(
    model: FittedModel, source: Path, out: Path, n_jobs: int, scheduler: str | None, progress: Progress
) -> tuple[CohortStore, list[str]]:
    """The cohort's store, and what could not be as it was for the training patients."""
    if (source / COHORT_FILE).is_file():
        if not (source / FORMAT_FILE).is_file():
            raise ConfigError(f"{source} is no store: name the description in it, {source / COHORT_FILE}")
        store = CohortStore(source)
        check_store(store, model.card)
        check_channels(store.cohort, model.card)
        _check_dictionary(model, store.cohort)
        return store, site_cohort(store.cohort, model.card)[1]
    described = load_cohort(source)
    cohort, notes = site_cohort(described, model.card)
    check_channels(cohort, model.card)
    _check_dictionary(model, cohort)
    with TemporaryDirectory() as scratch:
        changed = Path(scratch) / COHORT_FILE
        save_description(_at_any_place(cohort, source), changed)
        try:
            ingest(changed, out / "store", n_jobs=n_jobs, scheduler=scheduler, progress=progress)
        except ConfigError as error:
            raise ConfigError(str(error).replace(str(changed), str(source))) from None
    return CohortStore(out / "store"), notes


def _at_any_place(cohort: Cohort, source: Path) -> Cohort:
    """The description with whole paths, so that it may lie elsewhere than ``source``."""
    update: dict[str, object] = {"root": str(cohort_root(cohort, source))}
    if cohort.privacy and cohort.privacy.pseudonyms.key_file:
        key = str(key_path(cohort.privacy.pseudonyms, source).resolve())
        update["privacy"] = Privacy(pseudonyms=PseudonymKey(key_file=key))
    return cohort.model_copy(update=update)


def _check_dictionary(model: FittedModel, cohort: Cohort) -> None:
    card, table = model.card, cohort.clinical
    if table is None or card.outcome not in table.variables:
        raise ConfigError(
            f"cohort {cohort.name!r} has no clinical variable {card.outcome!r}, the model's outcome: without it "
            "patients can be predicted (`ppgssl predict`), and the model cannot be judged"
        )
    needed = clinical_variables(parse_arm(card.arm), card.study_model())
    site_dictionary(table, card, [card.outcome, *needed])
    if needed and not any(name in table.variables for name in needed):
        raise ConfigError(f"cohort {cohort.name!r} has none of the model's clinical variables ({', '.join(needed)})")


class _Validating:
    """The patients of another cohort, and a model's risks of them."""

    def __init__(self, model: FittedModel, store: CohortStore, notes: Sequence[str]) -> None:
        self.model, self.card, self.store, self.site_notes = model, model.card, store, list(notes)
        self.arm = parse_arm(self.card.arm)
        everybody = site_data(store, self.card)
        self.found: RisksOfPatients = risks_of(model, everybody)
        refused = [bool(refusal(model, self.found, row)) for row in range(len(everybody.y))]
        known = everybody.y[everybody.y.notna()].index
        could = everybody.y.index[~np.array(refused)].intersection(known)
        self.seen = sorted(set(could) & _seen_patients(model, store))
        kept = could.difference(self.seen)
        self._check(could, kept, everybody.y)
        # Refused though they have segments: what the model takes beside them is not known.
        has_segments = everybody.y.index[self.found.signals["n_accepted"].to_numpy() > 0]
        self.unknown = list(known.difference(could).intersection(has_segments))
        self.study = self._study()
        self.data = _restricted(replace(everybody, study=self.study), kept)
        self.before = _restricted(replace(everybody, study=self.study), could.union(self.unknown))
        self.rows = everybody.y.index.get_indexer(kept)
        self.risk: FloatArray = self.found.risks[0, self.rows]
        self.settings: dict[str, Any] = {
            "n_resamples": self.study.validation.n_bootstrap,
            "seed": derive_seed(self.card.seed, "external validation"),
        }
        self.recalibrations: list[Recalibration] = []
        self.refused: list[str] = []
        self.predictions = pd.concat(self._scores(), ignore_index=True)
        self.shift: list[ShiftMeasure] = measure_shift(model, self.found, self.rows)

    def _check(self, could: pd.Index, kept: pd.Index, y: pd.Series) -> None:
        if len(could) and not len(kept):
            raise LeakageError(
                f"the model {self.card.name!r} has seen all {len(could)} patients of {self.store.cohort.name!r} who "
                f"could be predicted ({_named(list(could))}): its risks of them are no predictions. Validate it on "
                "others. If these are others, and another cohort has the same `name` and ids, change the name in "
                "cohort.yaml"
            )
        n_events = int(y.loc[kept].sum())
        if not 0 < n_events < len(kept):
            raise EvaluationError(
                f"{n_events} of {len(kept)} patients of {self.store.cohort.name!r} who can be predicted, and have an "
                "outcome, have the event: both outcomes are needed to judge a model"
            )

    def _study(self) -> Study:
        """The model's study, as far as it is about this cohort."""
        study, table = self.card.study_model(), self.store.cohort.clinical
        known = set(table.variables) if table else set()
        return Study.model_validate(
            {
                **study.model_dump(mode="json"),
                "title": f"External validation: {self.card.title}",
                "description": "",
                "cohorts": [{"store": "store", "role": "labelled"}],
                "covariates": [name for name in study.covariates if name in known],
                "heart_rate": study.heart_rate if study.heart_rate in known else None,
                "spo2": study.spo2 if study.spo2 in known else None,
                "arms": [self.card.arm],
                "subgroups": [one.model_dump() for one in study.subgroups if one.variable in known],
                "validation": Validation(n_bootstrap=study.validation.n_bootstrap, n_optimism=0).model_dump(),
                "pretraining": {**study.pretraining.model_dump(mode="json"), "exposure": "transductive"},
            }
        )

    # --- risks

    @property
    def is_event(self) -> np.ndarray:
        return np.asarray(self.data.y.to_numpy() == 1)

    def _scores(self) -> Iterator[pd.DataFrame]:
        yield self._frame(FROZEN, self.risk)
        for method in METHODS:
            try:
                fitted = fit_recalibration(self.is_event, self.risk, method)
                scores = cross_recalibrated(self.is_event, self.risk, method, seed=self.settings["seed"])
            except EvaluationError as error:
                self.refused.append(f"{error}."[0].upper() + f"{error}."[1:])
                continue
            known = {"cohort": self.store.cohort.name, "model_sha256": self.model.fingerprint}
            self.recalibrations.append(fitted.model_copy(update=known))
            yield self._frame(f"recalibrated-{method}", scores)

    def _frame(self, arm: str, scores: FloatArray) -> pd.DataFrame:
        columns = (arm, 0, 0, list(self.data.y.index), self.is_event.astype(float), scores)
        return pd.DataFrame(dict(zip(PREDICTION_COLUMNS, columns, strict=True)))

    def table(self) -> pd.DataFrame:
        """The predictions, with the interval of the frozen model."""
        low, high = self.found.interval()
        is_frozen = self.predictions["arm"] == FROZEN
        ends = {"ci_low": low[self.rows], "ci_high": high[self.rows]}
        found = self.predictions.copy()
        for name, values in ends.items():
            found.loc[is_frozen, name] = values
        return found

    # --- results

    def results(self, watch: Stopwatch) -> Results:
        """All that the report shows."""
        cohort, table = self.store.cohort, self.data.clinical
        arms = list(dict.fromkeys(self.predictions["arm"]))
        reached = estimate_performance(
            self.predictions,
            arms,
            self.study.decisions,
            operating_points=self._operating_points,
            ranked=[FROZEN],  # recalibration keeps the order of patients
            **self.settings,
        )
        known = list(self.study.covariates)
        outcome = table.variables[self.card.outcome]
        frozen = self.predictions[self.predictions["arm"] == FROZEN]
        return Results(
            name=f"{self.card.study['name']}-on-{cohort.name}",
            title=f"{self.study.title}, on {cohort.title or cohort.name}",
            description=self._description(),
            outcome=self.card.outcome,
            outcome_label=outcome.label or self.card.outcome,
            event_label=outcome.level_names[-1],
            covariate_labels=[table.variables[name].label or name for name in known],
            flow=[self._flow()],
            findings=[*self._findings(), *findings(self.before, self.store)],
            table_one=table_one(self.data.covariates, self.data.y, table, known),
            quality=channel_quality(self.data, self.store),
            examples=example_waveforms(self.data, self.store),
            acquisition=acquisition_checks(self.data),
            pretraining=[],
            validation=self._validation(reached.discrimination),
            leakage=self._leakage(),
            arms=self._arms(reached),
            decision_references=reached.decisions.references,
            missing=missing_data(self.data.covariates[known], self.data.y, table.variables, self.study.missing)
            if known
            else None,
            subgroups=subgroups(frozen, [FROZEN], self.data.covariates, table, self.study.subgroups, **self.settings),
            shift=self.shift,
            provenance=self._provenance(watch),
        )

    def _description(self) -> str:
        return (
            f"The model {self.card.name} (fingerprint {self.model.fingerprint[:16]}), fitted to {self.card.n_patients} "
            f"patients, {self.card.n_events} of them with the event, was used as it is on patients it has not seen."
        )

    def _flow(self) -> CohortFlow:
        flow = cohort_flow(self.before, self.store)
        return flow.model_copy(
            update={
                "n_patients_analysed": len(self.data.y),
                "n_events": int(self.data.y.sum()),
                "exclusions": [
                    *flow.exclusions,
                    *_excluded("already seen by the model", self.seen),
                    *_excluded("nothing known that the model takes", self.unknown),
                ],
            }
        )

    def _findings(self) -> list[Finding]:
        cautions = []
        if self.seen:
            text = f"{len(self.seen)} patients, by their id or a recording ({_named(self.seen)}). Left out."
            cautions.append(("Model had seen patients", text))
        needed = clinical_variables(self.arm, self.card.study_model())
        absent = site_dictionary(self.store.cohort.clinical, self.card, needed)
        if absent:
            text = f"{', '.join(absent)}: taken as missing of everybody, and replaced by what is usual in training."
            cautions.append(("Model takes values that this cohort does not have", text))
        cautions += [("Model was given other signals than in training", note) for note in self.site_notes]
        cautions += [("Model was made with other software", text) for text in self.model.warnings]
        cautions += shift_findings(self.model, self.shift, self.found, self.rows)
        return [
            Finding(cohort=self.store.cohort.name, kind=kind, text=text, severity="caution") for kind, text in cautions
        ]

    def _validation(self, reached: Discrimination) -> ValidationSummary:
        notes = [
            "The model was frozen before these patients were seen. Recalibrated risks are of each patient by what the "
            "other patients told, so they show what recalibration is worth on the next patients; discrimination is the "
            "same by construction.",
            *(f"Offered, not applied: {one.text}." for one in self.recalibrations),
            *self.refused,
        ]
        return ValidationSummary(
            scheme="external",
            n_folds=1,
            n_repeats=1,
            n_patients=len(self.data.y),
            n_events=int(self.data.y.sum()),
            n_test_patients=reached.n_patients,
            n_bootstrap=self.settings["n_resamples"],
            n_bootstrap_skipped=reached.n_skipped,
            notes=notes,
        )

    def _leakage(self) -> list[LeakageCheck]:
        text = f"{len(self.seen)} patients whom the model had seen were left out." if self.seen else ""
        return [
            LeakageCheck(what=what, n_checked=len(self.data.y), n_shared=0, text=text)
            for what in ("Patients of the model", "Recordings of the model")
        ]

    def _arms(self, reached: Performance) -> list[ArmResult]:
        labels = {FROZEN: "Frozen model"}
        labels |= {f"recalibrated-{method}": LABELS[method].capitalize() for method in METHODS}
        return [
            reached.arm_result(
                name,
                self.arm,
                ranked_as=FROZEN,
                label=f"{labels[name]}: {self.card.arm_label}",
                is_transductive=False,
                n_features=len(self.card.columns.as_columns().names),
                seconds=0.0,
            )
            for name in reached.aligned.arms
        ]

    def _operating_points(self, aligned: AlignedPredictions) -> dict[str, list[OperatingPoint]]:
        """At the model's own thresholds, which these patients had no part in; in the model's order.

        A cut of the frozen risks is none of recalibrated ones: these have the risks that the study gave alone.
        """
        nobody = self.predictions.iloc[:0]
        points: dict[str, list[OperatingPoint]] = {arm: [] for arm in aligned.arms}
        for one in self.card.thresholds:
            given = Decisions(risks=[min(max(one.threshold, _NEAREST), 1 - _NEAREST)])
            judged = judge_operating_points(aligned, nobody, given)
            for arm, found in judged.items() if one.rule == "given" else [(FROZEN, judged[FROZEN])]:
                points[arm].append(found[0].model_copy(update={"rule": one.rule, "label": one.label}))
        return points

    def _provenance(self, watch: Stopwatch) -> Provenance:
        return Provenance(
            created_utc=utc_now(),
            versions=versions(),
            platform=system(),
            seed=self.card.seed,
            inputs=[
                InputFile(name=f"model {self.card.name}", sha256=self.model.fingerprint),
                InputFile(name=f"store {self.store.cohort.name}", sha256=self.store.fingerprint()),
            ],
            study=self.study.model_dump(mode="json"),
            cohorts=[{**self.store.cohort.model_dump(mode="json"), "root": ".", "privacy": None}],
            stage_seconds={"external validation": round(watch.seconds(), 2)},
            stage_peak_memory_mb={"external validation": round(peak_memory_mb(), 1)},
        )


def _seen_patients(model: FittedModel, store: CohortStore) -> set[str]:
    """Patient keys that the model has seen, by themselves or by one of their recordings."""
    seen = model.card.seen
    recordings = store.recordings(["patient_id", "signal_sha256"])
    by_signal = set(recordings.loc[recordings["signal_sha256"].isin(seen.signals_sha256), "patient_id"])
    known = set(seen.patients_sha256)
    by_name = {name for name in {*recordings["patient_id"], *store.patients().index} if known_as(store, name) & known}
    return {patient_key(store.cohort.name, name) for name in by_signal | by_name}


def _restricted(data: StudyData, patients: pd.Index) -> StudyData:
    return replace(data, y=data.y.loc[patients], covariates=data.covariates.loc[patients])


def _excluded(reason: str, patients: Sequence[str]) -> list[Exclusion]:
    if not patients:
        return []
    return [Exclusion(unit="patient", reason=reason, n=len(patients), examples=list(patients[:_N_NAMED]))]


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_N_NAMED]) + (", ..." if len(names) > _N_NAMED else "")
