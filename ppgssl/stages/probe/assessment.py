"""From predictions of all representations for the same patients to statistics with intervals and paired differences."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from ppgssl.core.results.base import Difference, Interval
from ppgssl.core.results.probe import ProbeMeasure, ProbeQuantity, ProbeRepresentation, ProbeResults
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.predictions import align_predictions
from ppgssl.evaluation.probes import assess_probes
from ppgssl.evaluation.ranked_pairs import resample_auroc
from ppgssl.evaluation.resampling import resample_means
from ppgssl.stages.probe.measuring import N_DRAWS, OUTCOME, RETRIEVAL, Plan
from ppgssl.stages.probe.targets import Target
from ppgssl.store.study_data import StudyData

Statistic = Literal["r2", "mae", "top1", "reciprocal_rank", "auroc"]


class _Judged(Protocol):
    """One statistic of all competitors."""

    def interval(self, name: str, /) -> Interval: ...

    def difference(self, name: str, reference: str, /) -> Difference: ...


def judge(rows: pd.DataFrame, plan: Plan, data: StudyData, *, made_of: str, seconds: float) -> ProbeResults:
    """All statistics of a probe.

    Parameters
    ----------
    rows : DataFrame
        Of :func:`ppgssl.stages.probe.measuring.measure`, for every representation and fold.
    made_of : str
        Fingerprint of all that decided the rows.
    seconds : float
    """
    rows = rows.assign(competitor=rows["representation"] + "/" + rows["part"])
    judge_one = _Judge(rows, plan, data)
    return ProbeResults(
        made_of=made_of,
        n_folds=data.study.probe.n_folds,
        n_repeats=data.study.probe.n_repeats,
        n_bootstrap=data.study.validation.n_bootstrap,
        n_draws=N_DRAWS,
        segment_s=data.study.inputs.segment_s,
        seconds=seconds,
        representations=judge_one.representations,
        quantities=list(judge_one.quantities()),
        measures=list(judge_one.measures()),
    )


class _Judge:
    def __init__(self, rows: pd.DataFrame, plan: Plan, data: StudyData) -> None:
        self.plan, self.data = plan, data
        groups = rows.groupby(["cohort", "quantity"], sort=False)
        self.by_quantity = {(str(cohort), str(quantity)): of_both for (cohort, quantity), of_both in groups}
        self.competitors = list(dict.fromkeys(rows["competitor"]))
        self.representations = [_representation(one.name, one.label, one.kind, rows) for one in plan.representations]
        self.references = {
            f"{one.name}/{one.own_part}": one.name for one in self.representations if one.kind == "baseline"
        }
        self.n_resamples = data.study.validation.n_bootstrap

    # --- what was asked --------------------------------------------------------------------------------------------

    def quantities(self) -> Iterator[ProbeQuantity]:
        for cohort, patients in self.plan.cohorts.items():
            for target in self.plan.targets[cohort]:
                yield self._target(cohort, len(patients), target)
            yield self._retrieval(cohort, len(patients))
            if cohort == self.data.labelled.cohort.name:
                yield self._outcome(cohort, len(patients))

    def _target(self, cohort: str, n_patients: int, target: Target) -> ProbeQuantity:
        n_known = len(target.truth)
        return ProbeQuantity(
            cohort=cohort,
            name=target.name,
            label=target.label,
            unit=target.unit,
            source=target.source,
            n_patients=n_known,
            n_unknown=n_patients - n_known,
            is_measured=(cohort, target.name) in self.by_quantity,
            mean=float(target.truth.mean()) if n_known else None,
            sd=float(target.truth.std()) if n_known > 1 else None,
        )

    def _retrieval(self, cohort: str, n_patients: int) -> ProbeQuantity:
        rows = self.by_quantity.get((cohort, RETRIEVAL))
        n_known = 0 if rows is None else int(rows["patient"].nunique())
        chance = {} if rows is None else rows.groupby("statistic")["value"].mean().to_dict()
        return ProbeQuantity(
            cohort=cohort,
            name=RETRIEVAL,
            label="Same patient found",
            source="two segments of a patient that do not overlap",
            n_patients=n_known,
            n_unknown=n_patients - n_known,
            is_measured=n_known > 1,
            chance={name: chance[f"chance_{name}"] for name in ("top1", "reciprocal_rank") if chance},
        )

    def _outcome(self, cohort: str, n_patients: int) -> ProbeQuantity:
        variable = self.data.clinical.variables[self.data.study.outcome]
        return ProbeQuantity(
            cohort=cohort,
            name=OUTCOME,
            label=variable.label or self.data.study.outcome,
            source="clinical table",
            n_patients=len(self.data.y),
            n_unknown=n_patients - len(self.data.y),
            is_measured=self.plan.has_outcome,
            chance={"auroc": 0.5},
        )

    # --- what was found --------------------------------------------------------------------------------------------

    def measures(self) -> Iterator[ProbeMeasure]:
        for (cohort, quantity), rows in self.by_quantity.items():
            for statistic, judged in self._judge(cohort, quantity, rows):
                for representation in self.representations:
                    for part in representation.parts:
                        yield self._measure(cohort, quantity, statistic, representation, part, judged)

    def _judge(self, cohort: str, quantity: str, rows: pd.DataFrame) -> Iterator[tuple[Statistic, _Judged]]:
        seed = derive_seed(self.data.study.seed, "probe bootstrap", cohort, quantity)
        judge_means = partial(resample_means, self.competitors, n_resamples=self.n_resamples, seed=seed)
        if quantity == OUTCOME:
            table = rows.rename(columns={"competitor": "arm", "patient": "patient_id", "value": "y_score"})
            table["y_true"] = self.data.y.loc[table["patient_id"]].to_numpy()
            yield (
                "auroc",
                resample_auroc(align_predictions(table, self.competitors), n_resamples=self.n_resamples, seed=seed),
            )
        elif quantity == RETRIEVAL:
            yield "top1", judge_means(self._mean_of_patients(rows, "top1"))
            yield "reciprocal_rank", judge_means(self._mean_of_patients(rows, "reciprocal_rank"))
        else:
            target = next(one for one in self.plan.targets[cohort] if one.name == quantity)
            patients = sorted(rows["patient"].unique())
            predictions = {
                str(name): of_name.pivot_table(index="repeat", columns="patient", values="value")[patients].to_numpy()
                for name, of_name in rows.groupby("competitor", sort=False)
            }
            truth = target.truth.loc[patients].to_numpy()
            scores = assess_probes(truth, predictions, n_resamples=self.n_resamples, seed=seed)
            yield "r2", scores.r2
            yield "mae", scores.mae

    def _mean_of_patients(self, rows: pd.DataFrame, statistic: str) -> np.ndarray:
        """Shape (n_competitors, n_patients); over repeats, in each of which a patient is tested once."""
        of_statistic = rows[rows["statistic"] == statistic]
        table = of_statistic.pivot_table(index="competitor", columns="patient", values="value", aggfunc="mean")
        return np.asarray(table.loc[self.competitors].to_numpy())

    def _measure(
        self,
        cohort: str,
        quantity: str,
        statistic: Statistic,
        representation: ProbeRepresentation,
        part: str,
        judged: _Judged,
    ) -> ProbeMeasure:
        name = f"{representation.name}/{part}"
        references = self.references if representation.kind == "ssl" and statistic != "mae" else {}
        return ProbeMeasure(
            cohort=cohort,
            quantity=quantity,
            statistic=statistic,
            representation=representation.name,
            part=part,
            value=judged.interval(name),
            differences=[
                judged.difference(name, reference).model_copy(update={"reference": baseline})
                for reference, baseline in references.items()
            ],
        )


def _representation(name: str, label: str, kind: Literal["ssl", "baseline"], rows: pd.DataFrame) -> ProbeRepresentation:
    parts = rows.loc[rows["representation"] == name, ["part", "n_features", "is_own"]].drop_duplicates("part")
    return ProbeRepresentation(
        name=name,
        label=label,
        kind=kind,
        parts={str(part): int(n) for part, n in zip(parts["part"], parts["n_features"], strict=True)},
        own_part=str(parts.loc[parts["is_own"], "part"].iloc[0]),
    )


def as_table(results: ProbeResults) -> pd.DataFrame:
    """One row a statistic of a part of a representation; differences in columns of their own."""
    quantities = {(one.cohort, one.name): one for one in results.quantities}
    representations = {one.name: one for one in results.representations}
    rows = []
    for measure in results.measures:
        quantity, representation = quantities[measure.cohort, measure.quantity], representations[measure.representation]
        row = {
            "cohort": measure.cohort,
            "quantity": measure.quantity,
            "unit": quantity.unit if measure.statistic == "mae" else "",
            "source": quantity.source,
            "n_patients": quantity.n_patients,
            "representation": measure.representation,
            "part": measure.part,
            "is_own_part": measure.part == representation.own_part,
            "n_features": representation.parts[measure.part],
            "statistic": measure.statistic,
            "chance": quantity.chance.get(measure.statistic),
            **measure.value.model_dump(),
        }
        for difference in measure.differences:
            values = difference.model_dump(exclude={"reference"})
            row |= {f"minus_{difference.reference}_{key}": value for key, value in values.items()}
        rows.append(row)
    return pd.DataFrame(rows)
