"""Patients to be predicted: a store of their raw files alone, their clinical values, and what is wrong with either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.cohort import ClinicalTable, Cohort
from ppgssl.core.config.loading import load_cohort
from ppgssl.core.errors import ConfigError
from ppgssl.core.parallel import Workers
from ppgssl.core.reasons import Reason
from ppgssl.core.records import Reject
from ppgssl.features.patient_table import clinical_variables, needs_signals
from ppgssl.models.card import ModelCard
from ppgssl.readers import get_reader
from ppgssl.readers.files import SourceFile
from ppgssl.readers.privacy.pseudonyms import Pseudonyms
from ppgssl.readers.privacy.secret_key import key_warnings, load_key
from ppgssl.stages.deploy.raw_files import RawFiles, choose_files, copies, lengths_of_others
from ppgssl.stages.deploy.site import check_channels, site_cohort, site_dictionary
from ppgssl.stages.ingest.file_tasks import SIGNAL_COLUMNS
from ppgssl.stages.ingest.ingest import add_files, clinical_table, split_joined
from ppgssl.stages.ingest.whole_cohort import clinical_rejects, find_duplicates
from ppgssl.store.tables import CohortStore

# Rejects whose detail names what they are about; whose detail is enough; and that concern rows of nobody.
_NAMING_SUBJECTS = (Reason.COPY_OF_PATIENT, Reason.COPY_OF_OTHER)
_PLAIN = (Reason.NO_SIGNALS, Reason.NOT_IN_TABLE)
_ROWS = (Reason.ROW_WITHOUT_ID, Reason.ROW_MISSHAPEN)


@dataclass(frozen=True)
class NewPatients:
    """The patients of raw files and of a clinical table, as a model asks for them.

    Attributes
    ----------
    cohort : Cohort
        Their description, with the settings of the model.
    store : CohortStore
        Of these files alone, and of those that hold the same as one of them.
    names : list of str
        Ids of those to predict: of FILES; without FILES, of any file and the clinical table.
    problems : mapping of str to list of str
        By id: what was wrong with a patient's files, recordings and rows.
    notes : list of str
        What concerns all of them, or nobody who could be named.
    """

    cohort: Cohort
    store: CohortStore
    names: list[str]
    problems: Mapping[str, list[str]] = field(repr=False)
    notes: list[str]


def read_new_patients(
    card: ModelCard, files: Sequence[Path], cohort_file: Path | None, clinical: Path | None, folder: Path
) -> NewPatients:
    """Read the patients into a new store in ``folder``; see :func:`ppgssl.stages.deploy.predict.predict`.

    Where patients have pseudonyms, no message of an error shows an id.
    """
    arm, study = parse_arm(card.arm), card.study_model()
    needed, takes_signals = clinical_variables(arm, study), needs_signals(arm, study)
    cohort, notes = site_cohort(load_cohort(cohort_file) if cohort_file else card.cohort_model(), card)
    if takes_signals:
        check_channels(cohort, card)
    get_reader(cohort.signals.reader).parse_options(cohort.signals.options)
    chosen = choose_files(cohort, files, cohort_file)
    pseudonyms, key_notes = _open_key(cohort, cohort_file, chosen.root)
    if takes_signals and not files and cohort_file and not chosen.sources:
        raise ConfigError(f"{cohort_file}: no file under {chosen.root} matches {cohort.signals.files!r}")
    if pseudonyms is not None:
        chosen = _renamed(chosen, pseudonyms, cohort)
    table = cohort.clinical if cohort_file else None
    if clinical is not None:
        table = cohort.clinical or card.cohort_model().clinical
    notes += [*key_notes, *map(_note, chosen.rejects)]
    absent = site_dictionary(table, card, needed)
    if absent:
        notes.append(f"Not among the clinical values given, and so unknown of everybody: {', '.join(absent)}.")
    asked = cohort.model_copy(update={"clinical": _needed_variables(table, needed)})
    store = CohortStore.create(folder, asked, key_fingerprint=pseudonyms.fingerprint if pseudonyms else "")
    _add_signals(store, chosen, cohort)
    values = clinical_table(asked, chosen.root, pseudonyms, instead=clinical)
    if values is not None:
        store.replace_patients(values.patients)
    of_files = dict.fromkeys(source.patient_id for source in chosen.sources)
    of_table = sorted({*values.patients.index, *values.rejected_ids}) if values is not None and not files else []
    names = list(of_files | dict.fromkeys(of_table))
    of_store = store.rejects()[["reason", "subject", "detail"]].itertuples(index=False)
    rejects = [
        *(Reject(Reason(reason), subject, detail) for reason, subject, detail in of_store),
        *clinical_rejects(values, set(of_files), pseudonyms.originals() if pseudonyms else None),
    ]
    if cohort.segments.accept == "sqi":  # trends decide nothing
        rejects = [reject for reject in rejects if reject.reason is not Reason.NO_TRENDS]
    if not takes_signals:
        rejects = [reject for reject in rejects if reject.reason is not Reason.NO_SIGNALS]
    problems, unowned = _sort_rejects(rejects, _owners(names, chosen.sources, store))
    return NewPatients(cohort, store, sorted(names) if pseudonyms else names, problems, [*notes, *unowned])


def _open_key(cohort: Cohort, cohort_file: Path | None, root: Path) -> tuple[Pseudonyms | None, list[str]]:
    """Pseudonyms, where the cohort asks for them, and warnings about the place of their key."""
    if cohort.privacy is None or cohort_file is None:
        return None, []
    options = cohort.privacy.pseudonyms
    pseudonyms = Pseudonyms(load_key(options, cohort_file))
    return pseudonyms, list(key_warnings(options, cohort_file, [("the folder of the raw files", root)]))


def _renamed(chosen: RawFiles, pseudonyms: Pseudonyms, cohort: Cohort) -> RawFiles:
    """Files under the pseudonyms of their patients, in the order of these, which shows nothing of the ids."""

    def rename(sources: Iterable[SourceFile]) -> list[SourceFile]:
        return sorted((pseudonyms.source(one, cohort) for one in sources), key=lambda source: source.relative)

    rejects = [pseudonyms.reject(reject, cohort) for reject in chosen.rejects]
    return RawFiles(chosen.root, rename(chosen.sources), rename(chosen.others), rejects)


def _needed_variables(table: ClinicalTable | None, needed: Sequence[str]) -> ClinicalTable | None:
    """The table with no other variables than those that the model takes: no other cell is read, and no outcome."""
    if table is None:
        return None
    variables = {
        name: variable.model_copy(update={"defines": []})
        for name, variable in table.variables.items()
        if name in needed
    }
    return table.model_copy(update={"variables": variables}) if variables else None


def _add_signals(store: CohortStore, chosen: RawFiles, cohort: Cohort) -> None:
    read = [*chosen.sources, *copies(chosen.sources, chosen.others, cohort)]
    add_files(store, cohort, read, Workers(1))
    store.drop_incomplete()
    split_joined(store, cohort, read, lengths_of_others(chosen.others, len(read), cohort))
    store.replace_rejects("duplicates", find_duplicates(store.recordings(SIGNAL_COLUMNS)))


# --- whom a reject is about ------------------------------------------------------------------------------------


def _owners(names: Sequence[str], sources: Sequence[SourceFile], store: CohortStore) -> dict[str, str]:
    """Patient of each subject that a reject may have: a patient, a file or a recording."""
    owners = {name: name for name in names}
    for source in sources:
        owners[source.relative] = owners[source.recording_id] = source.patient_id
    stored = store.recordings(["recording_id", "patient_id"])
    return owners | {str(recording): str(name) for recording, name in stored.itertuples(index=False)}


def _sort_rejects(rejects: Sequence[Reject], owners: Mapping[str, str]) -> tuple[dict[str, list[str]], list[str]]:
    """Problems by patient, and notes of the rows that belong to none of them."""
    problems: dict[str, list[str]] = {}
    notes = []
    for reject in rejects:
        subjects = [reject.subject]
        if reject.unit == "cell":
            subjects = [reject.subject.rpartition("/")[0]]
        elif reject.unit == "row":
            subjects = reject.subject.split(", ")
        about = [owners[subject] for subject in subjects if subject in owners]
        for name in about:
            problems.setdefault(name, []).append(_problem(reject))
        if not about and (reject.reason is Reason.OTHER_UNIT or reject.reason in _ROWS):
            notes.append(_note(reject))
    return problems, notes


def _problem(reject: Reject) -> str:
    """What is wrong, for the patient whom it is about."""
    if reject.reason in _PLAIN:
        return reject.detail
    if reject.unit in ("cell", "patient", "row") or reject.reason in _NAMING_SUBJECTS:
        return f"{reject.reason.text}: {reject.detail}"
    return _note(reject)


def _note(reject: Reject) -> str:
    return ": ".join(text for text in (reject.subject, reject.reason.text, reject.detail) if text)
