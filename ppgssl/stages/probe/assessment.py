"""From predictions of all representations for the same patients to statistics with intervals and paired differences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import pandas as pd

from ppgssl.core.results.base import Interval
from ppgssl.core.results.probe import ProbeMeasure, ProbeQuantity, ProbeRepresentation, ProbeResults
from ppgssl.core.seeds import derive_seed
from ppgssl.evaluation.predictions import align_predictions
from ppgssl.evaluation.probes import assess_probes, assess_segment_classes, assess_segments
from ppgssl.evaluation.ranked_pairs import resample_auroc
from ppgssl.evaluation.resampling import Replicates, resample_means
from ppgssl.stages.probe.measuring import N_DRAWS, OUTCOME, RETRIEVAL, Plan
from ppgssl.stages.probe.representations import Representation
from ppgssl.stages.probe.targets import Target
from ppgssl.store.study_data import StudyData

Statistic = Literal["r2", "r2_within", "mae", "top1", "reciprocal_rank", "auroc"]


def assess(rows: pd.DataFrame, plan: Plan, data: StudyData, *, made_of: str, seconds: float) -> ProbeResults:
    """All statistics of a probe.

    Parameters
    ----------
    rows : DataFrame
        Of :func:`ppgssl.stages.probe.measuring.measure`, for every representation and fold.
    made_of : str
        Fingerprint of all that decided the rows.
    """
    groups = rows.assign(competitor=rows["representation"] + "/" + rows["part"]).groupby(
        ["cohort", "quantity"], sort=False
    )
    by_quantity = {(str(cohort), str(quantity)): of_both for (cohort, quantity), of_both in groups}
    representations = [_representation(one, rows) for one in plan.representations]
    return ProbeResults(
        made_of=made_of,
        n_folds=data.study.probe.n_folds,
        n_repeats=data.study.probe.n_repeats,
        n_bootstrap=data.study.validation.n_bootstrap,
        n_draws=N_DRAWS,
        segment_s=data.study.inputs.segment_s,
        seconds=seconds,
        representations=representations,
        quantities=list(_quantities(by_quantity, plan, data)),
        measures=[
            measure
            for (cohort, quantity), of_both in by_quantity.items()
            for statistic, replicates in _statistics(cohort, quantity, of_both, plan, data)
            for measure in _measures(cohort, quantity, statistic, replicates, representations)
        ],
    )


def _representation(one: Representation, rows: pd.DataFrame) -> ProbeRepresentation:
    parts = rows.loc[rows["representation"] == one.name, ["part", "n_features", "is_own"]].drop_duplicates("part")
    return ProbeRepresentation(
        name=one.name,
        label=one.label,
        kind=one.kind,
        parts={str(part): int(n) for part, n in zip(parts["part"], parts["n_features"], strict=True)},
        own_part=str(parts.loc[parts["is_own"], "part"].iloc[0]),
    )


def _quantities(
    by_quantity: Mapping[tuple[str, str], pd.DataFrame], plan: Plan, data: StudyData
) -> Iterator[ProbeQuantity]:
    def quantity(cohort: str, name: str, n_known: int, **fields: Any) -> ProbeQuantity:
        n_unknown = len(plan.cohorts[cohort]) - n_known
        return ProbeQuantity(cohort=cohort, name=name, n_patients=n_known, n_unknown=n_unknown, **fields)

    for cohort in plan.cohorts:
        for target in plan.targets[cohort]:
            n_known = target.truth.index.nunique()
            yield quantity(
                cohort,
                target.name,
                n_known,
                label=target.label,
                unit=target.unit,
                source=target.source,
                n_segments=0 if target.segment is None else len(target.segment),
                n_unmatched=target.n_unmatched,
                is_measured=(cohort, target.name) in by_quantity,
                chance={"auroc": 0.5} if target.is_class else {},
                mean=float(target.truth.mean()) if n_known else None,
                sd=float(target.truth.std()) if n_known > 1 and not target.is_class else None,
            )
        rows = by_quantity.get((cohort, RETRIEVAL), pd.DataFrame(columns=["patient", "statistic", "value"]))
        n_known, chance = rows["patient"].nunique(), rows.groupby("statistic")["value"].mean().to_dict()
        yield quantity(
            cohort,
            RETRIEVAL,
            n_known,
            label="Same patient found",
            source="two segments of a patient that do not overlap",
            is_measured=n_known > 1,
            chance={name: chance[f"chance_{name}"] for name in ("top1", "reciprocal_rank") if chance},
        )
        if cohort == data.labelled.cohort.name:
            label = data.clinical.variables[data.study.outcome].label or data.study.outcome
            more = {"label": label, "source": "clinical table", "chance": {"auroc": 0.5}}
            yield quantity(cohort, OUTCOME, len(data.y), is_measured=plan.has_outcome, **more)


def _statistics(
    cohort: str, quantity: str, rows: pd.DataFrame, plan: Plan, data: StudyData
) -> Iterator[tuple[Statistic, Replicates]]:
    """Each statistic of one quantity, of all competitors on the same draws of patients."""
    competitors = list(dict.fromkeys(rows["competitor"]))
    settings: dict[str, int] = {
        "n_resamples": data.study.validation.n_bootstrap,
        "seed": derive_seed(data.study.seed, "probe bootstrap", cohort, quantity),
    }
    if quantity == OUTCOME:
        table = rows.rename(columns={"competitor": "arm", "patient": "patient_id", "value": "y_score"})
        table["y_true"] = data.y.loc[table["patient_id"]].to_numpy()
        yield "auroc", resample_auroc(align_predictions(table, competitors), **settings)
    elif quantity == RETRIEVAL:
        yield "top1", resample_means(competitors, _patient_means(rows, "top1", competitors), **settings)
        means = _patient_means(rows, "reciprocal_rank", competitors)
        yield "reciprocal_rank", resample_means(competitors, means, **settings)
    else:
        target = next(one for one in plan.targets[cohort] if one.name == quantity)
        of_target = _segment_statistics if target.segment is not None else _patient_statistics
        yield from of_target(target, rows, competitors, settings)


def _patient_statistics(
    target: Target, rows: pd.DataFrame, competitors: list[str], settings: dict[str, int]
) -> Iterator[tuple[Statistic, Replicates]]:
    patients = sorted(rows["patient"].unique())
    table = rows.pivot_table(index=["competitor", "repeat"], columns="patient", values="value")[patients]
    predictions = {name: table.loc[name].to_numpy() for name in competitors}
    scores = assess_probes(target.truth.loc[patients].to_numpy(), predictions, **settings)
    yield "r2", scores.r2
    yield "mae", scores.mae


def _segment_statistics(
    target: Target, rows: pd.DataFrame, competitors: list[str], settings: dict[str, int]
) -> Iterator[tuple[Statistic, Replicates]]:
    if target.is_class:
        truth = pd.Series(target.truth.to_numpy(), index=target.segment)
        keys = ["repeat", "fold", "patient", "segment"]
        table = rows.pivot_table(index=keys, columns="competitor", values="value")[competitors]
        tests = table.index.to_frame(index=False)
        tests["y_true"] = truth.loc[tests["segment"]].to_numpy()
        yield "auroc", assess_segment_classes(tests, table, **settings)
        return
    errors = {
        str(name): of_name.pivot_table(index="patient", columns="statistic", values="value", aggfunc="mean")
        for name, of_name in rows.groupby("competitor", sort=False)
    }
    scores = assess_segments(target.truth.to_numpy(), target.truth.index.to_numpy(), errors, **settings)
    yield "r2", scores.r2
    yield "mae", scores.mae
    if scores.r2_within is not None:
        yield "r2_within", scores.r2_within


def _patient_means(rows: pd.DataFrame, statistic: str, competitors: list[str]) -> np.ndarray:
    """Shape (n_competitors, n_patients); over repeats, in each of which a patient is tested once."""
    of_statistic = rows[rows["statistic"] == statistic]
    table = of_statistic.pivot_table(index="competitor", columns="patient", values="value", aggfunc="mean")
    return np.asarray(table.loc[competitors].to_numpy())


def _measures(
    cohort: str,
    quantity: str,
    statistic: Statistic,
    replicates: Replicates,
    representations: list[ProbeRepresentation],
) -> Iterator[ProbeMeasure]:
    baselines = [one for one in representations if one.kind == "baseline" and statistic != "mae"]
    for one in representations:
        for part in one.parts:
            name = f"{one.name}/{part}"
            differences = [
                replicates.difference(name, f"{other.name}/{other.own_part}").model_copy(
                    update={"reference": other.name}
                )
                for other in (baselines if one.kind == "ssl" else ())
                if f"{other.name}/{other.own_part}" in replicates.names
            ]
            is_known = name in replicates.names  # features of recordings find no segments
            yield ProbeMeasure(
                cohort=cohort,
                quantity=quantity,
                statistic=statistic,
                representation=one.name,
                part=part,
                value=replicates.interval(name) if is_known else Interval(estimate=None, ci_low=None, ci_high=None),
                differences=differences,
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
            "n_segments": quantity.n_segments,
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
