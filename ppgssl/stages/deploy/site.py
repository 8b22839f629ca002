"""Another cohort, described and read as the training cohort of a model was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.cohort import ClinicalTable, Cohort, Quality, Variable
from ppgssl.core.errors import ConfigError, StoreError
from ppgssl.core.reasons import Reason
from ppgssl.features.patient_table import clinical_variables, needs_spo2_curve
from ppgssl.models.card import ModelCard
from ppgssl.selfsupervised.input_description import InputDescription
from ppgssl.store.assembly import StudySegments, assemble, patient_key
from ppgssl.store.leakage import hashed_patient
from ppgssl.store.linked_patients import shared_signals
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import CohortStore


def site_cohort(cohort: Cohort, card: ModelCard) -> tuple[Cohort, list[str]]:
    """A cohort's description with the model's band, segments and rule of acceptance, and notes of what it cannot have.

    What the files hold, units, devices and the calibration of SpO2 stay the cohort's own.
    """
    training, inputs = card.cohort_model(), card.study_model().inputs
    rule = training.segments.model_copy(
        update={"segment_s": inputs.segment_s, "step_s": inputs.step_s, "min_sqi": inputs.min_sqi}
    )
    quality, notes = training.quality, []
    trends = cohort.signals.trends
    if rule.accept != "sqi" and (trends is None or "sqi" not in trends.columns):
        rule, quality = rule.model_copy(update={"accept": "sqi"}), Quality()
        notes.append(
            "Segments of training patients were accepted by the signal quality index of the device, which this cohort "
            f"does not have: here the index of ppgssl decides, from {rule.min_sqi:g} on."
        )
    changed = {
        "signal": training.signal.model_dump(mode="json"),
        "segments": rule.model_dump(mode="json"),
        "quality": quality.model_dump(mode="json"),
        "vitals": {**cohort.vitals.model_dump(mode="json"), "enabled": training.vitals.enabled},
    }
    return Cohort.model_validate({**cohort.model_dump(mode="json"), **changed}), notes


def check_channels(cohort: Cohort, card: ModelCard) -> None:
    """Refuse a cohort that records nothing which an input of the model could be made of.

    Raises ConfigError, naming the input and the channels; and if the model takes a saturation that this cohort leaves
    to be fitted.
    """
    takes_spo2 = needs_spo2_curve(parse_arm(card.arm), card.study_model())
    if takes_spo2 and cohort.vitals.spo2_calibration == "fit" and card.spo2_curve is None:
        raise ConfigError(
            f"the model takes an SpO2 in percent and holds no curve for it, and the cohort {cohort.name!r} has "
            "`vitals.spo2_calibration: fit`: give the curve of its device instead"
        )
    has = cohort.signals.channels
    for one in card.study_model().inputs.channels:
        if not one.optional and not set(one.any_of) & set(has):
            raise ConfigError(
                f"the model's input {one.name!r} is one of the channels {', '.join(one.any_of)}, and the cohort "
                f"{cohort.name!r} has {', '.join(has)}. If one of these is the same light, name it so in "
                "`signals.channels`; if not, the model cannot be used here"
            )


def check_store(store: CohortStore, card: ModelCard) -> None:
    """Refuse a store whose signals were treated otherwise than those of the training patients.

    Raises StoreError, naming the keys, and the way out.
    """
    expected, _ = site_cohort(store.cohort, card)
    before, wanted = store.cohort.model_dump(mode="json"), expected.model_dump(mode="json")
    changed = [key for key in ("signal", "quality") if before[key] != wanted[key]]
    if changed:
        raise StoreError(
            f"the store {store.folder} was made with other settings of {', '.join(f'`{key}`' for key in changed)} than "
            f"the model's training cohort ({', '.join(f'{key}: {wanted[key]}' for key in changed)}). Give the "
            "cohort.yaml instead: its files are then read as the model asks for"
        )


def site_dictionary(table: ClinicalTable | None, card: ModelCard, needed: Sequence[str]) -> list[str]:
    """Compare a cohort's clinical variables with those that the model was fitted to; labels of the absent ones.

    ``needed`` are the variables that the model takes, or that its evaluation takes.

    Raises ConfigError if a variable of the same name has another kind, transform, unit or level: nothing is
    converted or guessed.
    """
    known, here = card.variables(), table.variables if table else {}
    problems = [
        problem
        for name in needed
        if name in here and name in known
        for problem in _differences(name, here[name], known[name])
    ]
    if problems:
        raise ConfigError("the clinical variables are not those that the model was fitted to:", tuple(problems))
    return [known[name].label or name for name in needed if name not in here]


def _differences(name: str, here: Variable, known: Variable) -> list[str]:
    if here.kind != known.kind:
        return [f"`{name}` is {here.kind}, and was {known.kind}"]
    ours, theirs = here.transform, known.transform
    if not (ours.is_as(theirs) if ours and theirs else ours is theirs):
        forms = (one.words("value") if one else "the value in the table itself" for one in (ours, theirs))
        return [f"`{name}` is {', and was '.join(forms)}: describe it with the `transform` it had"]
    units = here.written_unit, known.written_unit
    if all(units) and units[0].strip().casefold() != units[1].strip().casefold():
        return [f"`{name}` is in {units[0]}, and was in {units[1]}: convert it"]
    if here.kind == "binary" and here.level_names != known.level_names:
        return [f"`{name}` has the levels {', '.join(here.level_names)}, and had {', '.join(known.level_names)}"]
    strange = [level for level in here.level_names if level not in known.level_names]
    if strange:
        return [f"`{name}` has the level(s) {', '.join(strange)}; the model knows {', '.join(known.level_names)}"]
    return []


def site_data(store: CohortStore, card: ModelCard, *, patients: Sequence[str] | None = None) -> StudyData:
    """Data of another cohort in the form of a study's, to be predicted: nobody trains, and there are no folds.

    ``y`` is the outcome where it is known, NaN elsewhere; clinical variables that the cohort does not have are missing
    for everybody. ``patients`` are ids; by default all of the recordings and the clinical table.

    Raises StoreError if no segment of any patient is accepted, or none has a level above 0 where the model divides
    by it.
    """
    study = card.study_model()
    if patients is None:
        patients = sorted({*store.patients().index, *store.recordings(["patient_id"])["patient_id"]})
    covariates = site_covariates(store, card, patients)
    return StudyData(
        study=study,
        stores=[store],
        segments=_with_level(assemble([store], study.inputs), card.input),
        covariates=covariates,
        y=covariates[study.outcome].astype(float).rename("y"),
        folds=[],
        content=store.fingerprint(),
        signals_content=store.signals_fingerprint(),
        shared_signals=shared_signals([store]),
    )


def _with_level(segments: StudySegments, described: InputDescription) -> StudySegments:
    """Without the segments that cannot be divided by their raw level, where the model asks for that.

    A study stops at such a segment, since its channel map is wrong; here one device of many may be the cause.
    """
    if described.normalisation != "ac_dc":
        return segments
    is_bad = (segments.is_present & ~(segments.baseline > 0)).any(axis=1)
    if not is_bad.any():
        return segments
    if is_bad.all():
        raise StoreError("no segment has a raw level above 0, by which the model divides the pulse (AC/DC)")
    decisions = segments.decisions.reset_index(drop=True)
    rows = np.flatnonzero(decisions["accepted"])[is_bad]
    is_lost = pd.Series(False, index=decisions.index)
    is_lost.iloc[rows] = True
    decisions["accepted"] &= ~is_lost
    # Of the defects that a segment may have, this is the nearest: its level is missing.
    decisions["defect"] = decisions["defect"].mask(is_lost, Reason.GAP.value)
    return replace(segments.only(np.logical_not(is_bad)), decisions=decisions)


def site_covariates(store: CohortStore, card: ModelCard, patients: Sequence[str]) -> pd.DataFrame:
    """Clinical values of another cohort's patients, index patient key; missing where the cohort does not have them."""
    study, variables = card.study_model(), card.variables()
    ids = sorted(set(patients))
    keys = pd.Index([patient_key(store.cohort.name, name) for name in ids], name="patient")
    table = store.patients().reindex(ids).set_axis(keys)
    taken = clinical_variables(parse_arm(card.arm), study)
    for name in dict.fromkeys([study.outcome, *taken, *(one.variable for one in study.subgroups)]):
        values = table[name] if name in table else pd.Series(np.nan, index=keys)
        is_number = variables[name].kind in ("numeric", "binary")
        table[name] = values.astype(float) if is_number else values.astype(object).where(values.notna(), None)
    return table


def known_as(store: CohortStore, patient_id: str) -> set[str]:
    """Hashes under which a model may remember a patient: of the patient key, and of a pseudonym and its key."""
    names = [patient_key(store.cohort.name, patient_id)]
    if store.key_fingerprint:  # with one key, a pseudonym is one person in all cohorts
        names.append(f"{store.key_fingerprint}/{patient_id}")
    return {hashed_patient(name) for name in names}


def seen_patients(card: ModelCard, store: CohortStore) -> set[str]:
    """Ids of the patients of a store whom the model has seen, by themselves or by one of their recordings."""
    recordings = store.recordings(["patient_id", "signal_sha256"])
    by_signal = set(recordings.loc[recordings["signal_sha256"].isin(card.seen.signals_sha256), "patient_id"])
    known = set(card.seen.patients_sha256)
    return by_signal | {
        name for name in {*recordings["patient_id"], *store.patients().index} if known_as(store, name) & known
    }
