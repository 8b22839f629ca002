"""Patients to be predicted: which raw files are theirs, what a store of these alone holds, and what went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.config.arms import parse_arm
from ppgssl.core.config.cohort import ClinicalTable, Cohort
from ppgssl.core.config.loading import cohort_root, load_cohort
from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.parallel import Workers
from ppgssl.core.records import Reject
from ppgssl.features.patient_table import clinical_variables, needs_signals
from ppgssl.models.card import ModelCard
from ppgssl.readers import get_reader
from ppgssl.readers.clinical.table import Clinical
from ppgssl.readers.files import SourceFile, find_files
from ppgssl.readers.privacy.pseudonyms import Pseudonyms
from ppgssl.readers.privacy.secret_key import key_warnings, load_key
from ppgssl.readers.sources import open_source, source_bytes, source_sha256
from ppgssl.stages.deploy.model_inputs import site_cohort, site_dictionary
from ppgssl.stages.ingest.file_tasks import SIGNAL_COLUMNS, stretches_of
from ppgssl.stages.ingest.ingest import add_files, clinical_table, split_joined
from ppgssl.stages.ingest.whole_cohort import clinical_rejects, find_duplicates
from ppgssl.store.tables import CohortStore

_PART = re.compile(r"\{\w*(?::(?:[^{}]|\{[^{}]*\})*)?\}")
_N_NAMED = 5
# Files that lie beside those to predict, of which the length is looked up: at least so many, and so many for each.
_MIN_BESIDE, _BESIDE_EACH = 20, 5
# Complaints whose detail says all.
_PLAIN = ("patient without signals", "signals without a patient")


@dataclass(frozen=True)
class _Chosen:
    """Files to predict, the others of their cohort, and what is wrong with the names of files."""

    root: Path
    sources: list[SourceFile] = field(default_factory=list)
    others: list[SourceFile] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


class NewPatients:
    """The patients of raw files and of a clinical table, in a model's terms.

    Parameters
    ----------
    card : ModelCard
        Of the model that is to predict them.
    files, cohort_file, clinical
        As :func:`ppgssl.stages.deploy.predict.predict` takes them.

    Attributes
    ----------
    cohort : Cohort
        Their description, with what the model asks for.
    notes : list of str
        What concerns all of them, or nobody who could be named.

    Raises
    ------
    ConfigError
        As :func:`ppgssl.stages.deploy.predict.predict`. Where patients have pseudonyms, no message shows an id.
    """

    def __init__(self, card: ModelCard, files: Sequence[Path], cohort_file: Path | None, clinical: Path | None) -> None:
        arm, study = parse_arm(card.arm), card.study_model()
        self._needed, self._has_signals = clinical_variables(arm, study), needs_signals(arm, study)
        described = load_cohort(cohort_file) if cohort_file else card.cohort_model()
        self.cohort, self.notes = site_cohort(described, card)
        if self._has_signals:
            check_channels(self.cohort, card)
        get_reader(self.cohort.signals.reader).parse_options(self.cohort.signals.options)
        chosen = _chosen(self.cohort, files, cohort_file)
        self._is_whole, self._root = not files, chosen.root
        self._pseudonyms = self._keyed(cohort_file, chosen.root)
        if self._has_signals and self._is_whole and cohort_file and not chosen.sources:
            raise ConfigError(f"{cohort_file}: no file under {chosen.root} matches {self.cohort.signals.files!r}")
        self._sources, self._others = self._named(chosen.sources), self._named(chosen.others)
        self.notes += [_told(self._of_name(reject)) for reject in chosen.rejects]
        self._instead = clinical
        self._table = self._described_table(card, is_here=cohort_file is not None)
        absent = site_dictionary(self._table, card, self._needed)
        if absent:
            self.notes.append(f"Not among the clinical values given, and so unknown of everybody: {', '.join(absent)}.")
        self._complaints: dict[str, list[str]] = {}
        self._of_table: set[str] = set()

    def _keyed(self, cohort_file: Path | None, root: Path) -> Pseudonyms | None:
        privacy = self.cohort.privacy
        if privacy is None or cohort_file is None:
            return None
        found = Pseudonyms(load_key(privacy.pseudonyms, cohort_file))
        self.notes += key_warnings(privacy.pseudonyms, cohort_file, [("the folder of the raw files", root)])
        return found

    def _named(self, sources: Sequence[SourceFile]) -> list[SourceFile]:
        """Sources under the names that patients have, pseudonyms in their own order: that of ids would tell of them."""
        if self._pseudonyms is None:
            return list(sources)
        renamed = (self._pseudonyms.source(source, self.cohort) for source in sources)
        return sorted(renamed, key=lambda source: source.relative)

    def _of_name(self, reject: Reject) -> Reject:
        return reject if self._pseudonyms is None else self._pseudonyms.reject(reject, self.cohort)

    def _described_table(self, card: ModelCard, *, is_here: bool) -> ClinicalTable | None:
        """The description of the table; nothing of the training cohort's own table, which is not here, is read."""
        if self._instead is None:
            return self.cohort.clinical if is_here else None
        return self.cohort.clinical or card.cohort_model().clinical

    # --- reading

    def store(self, folder: Path) -> CohortStore:
        """A store of these files alone, and of those that hold the same as one of them."""
        key = self._pseudonyms.fingerprint if self._pseudonyms else ""
        table = _restricted(self._table, self._needed)
        cohort = self.cohort.model_copy(update={"clinical": table})
        store = CohortStore.create(folder, cohort, key_fingerprint=key)
        read = [*self._sources, *_copies(self._sources, self._others, self.cohort)]
        add_files(store, self.cohort, read, Workers(1))
        store.drop_incomplete()
        split_joined(store, self.cohort, read, _lengths(_beside(self._others, len(read)), self.cohort))
        store.replace_rejects("duplicates", find_duplicates(store.recordings(SIGNAL_COLUMNS)))
        found = self._clinical(cohort)
        if found is not None:
            store.replace_patients(found.patients)
            self._of_table = {*found.patients.index, *found.rejected_ids}
        originals = self._pseudonyms.originals() if self._pseudonyms else None
        problems = clinical_rejects(found, {source.patient_id for source in self._sources}, originals)
        self._sort(store, problems)
        return store

    def _clinical(self, cohort: Cohort) -> Clinical | None:
        try:
            return clinical_table(cohort, self._root, self._pseudonyms, instead=self._instead)
        except ConfigError as error:
            if self._instead is None:
                raise
            raise ConfigError(str(error).replace("`clinical.file`", "`--clinical`")) from None

    def patients(self) -> list[str]:
        """Ids of those to predict: whom FILES name; without FILES, whom a file or the clinical table names."""
        names = dict.fromkeys(source.patient_id for source in self._sources)
        if self._is_whole:
            names |= dict.fromkeys(sorted(self._of_table))
        return sorted(names) if self._pseudonyms else list(names)

    # --- complaints

    def complaints(self, patient_id: str) -> list[str]:
        """What was wrong with a patient's files, recordings and rows; known once :meth:`store` was called."""
        return self._complaints.get(patient_id, [])

    def _sort(self, store: CohortStore, of_table: Sequence[Reject]) -> None:
        """Give each complaint to the patients it is about; what is about none of them is a note."""
        owners = {name: [name] for name in self.patients()}
        for source in self._sources:
            owners[source.relative] = owners[source.recording_id] = [source.patient_id]
        stored = store.recordings(["recording_id", "patient_id"])
        owners |= {str(recording): [str(name)] for recording, name in stored.itertuples(index=False)}
        for reject in [*_rejects(store), *of_table]:
            about = self._about(reject, owners)
            for name in about:
                self._complaints.setdefault(name, []).append(_said(reject).replace(f"{self._root}/", ""))
            if not about and (reject.unit == "variable" or reject.subject.startswith("row ")):
                self.notes.append(_told(reject))

    def _about(self, reject: Reject, owners: Mapping[str, list[str]]) -> list[str]:
        if reject.reason == "no file of device trends" and self.cohort.segments.accept == "sqi":
            return []  # they decide nothing
        if reject.reason == "patient without signals" and not self._has_signals:
            return []
        if reject.unit == "cell":
            return owners.get(reject.subject.rpartition("/")[0], [])
        if reject.unit == "row":
            return [name for subject in reject.subject.split(", ") for name in owners.get(subject, [])]
        return owners.get(reject.subject, [])


def _rejects(store: CohortStore) -> Iterator[Reject]:
    columns = store.rejects()[["unit", "subject", "reason", "detail"]]
    for row in columns.itertuples(index=False):
        yield Reject(*map(str, row))


def _said(reject: Reject) -> str:
    """A complaint, to the patient whom it is about."""
    if reject.reason in _PLAIN:
        return reject.detail
    if reject.unit in ("cell", "patient", "row") or reject.subject in reject.detail:
        return f"{reject.reason}: {reject.detail}"
    return _told(reject)


def _told(reject: Reject) -> str:
    return ": ".join(text for text in (reject.subject, reject.reason, reject.detail) if text)


def check_channels(cohort: Cohort, card: ModelCard) -> None:
    """Refuse a cohort that records nothing which an input of the model could be made of.

    Raises
    ------
    ConfigError
        Naming the input and the channels.
    """
    has = cohort.signals.channels
    for one in card.study_model().inputs.channels:
        if not one.optional and not set(one.any_of) & set(has):
            raise ConfigError(
                f"the model's input {one.name!r} is one of the channels {', '.join(one.any_of)}, and the cohort "
                f"{cohort.name!r} has {', '.join(has)}. If one of these is the same light, name it so in "
                "`signals.channels`; if not, the model cannot be used here"
            )


def _restricted(table: ClinicalTable | None, needed: Sequence[str]) -> ClinicalTable | None:
    """The table with the variables that the model takes alone: no other cell is read, outcomes least of all."""
    if table is None:
        return None
    variables = {
        name: variable.model_copy(update={"defines": []})
        for name, variable in table.variables.items()
        if name in needed
    }
    return table.model_copy(update={"variables": variables}) if variables else None


# --- which files -----------------------------------------------------------------------------------------------


def _chosen(cohort: Cohort, files: Sequence[Path], cohort_file: Path | None) -> _Chosen:
    """The files to predict, as the cohort's pattern sees them, and the folder that they lie under."""
    if files:
        return _named_ones(cohort, {_place(path): _shown(path, n, cohort) for n, path in enumerate(files, start=1)})
    if cohort_file is None:
        return _Chosen(Path.cwd())
    root = cohort_root(cohort, cohort_file)
    sources, rejects = find_files(cohort, root)
    return _Chosen(root, sources, rejects=rejects)


def _place(path: Path) -> Path:
    """Where a file lies, links among its folders followed; but of a link itself, where that lies."""
    return path.parent.resolve() / path.name


def _shown(path: Path, number: int, cohort: Cohort) -> str:
    """A file of the command line in a message: with `privacy`, by its number, for its name may be a patient's."""
    return str(path) if cohort.privacy is None else f"file {number} of those given"


def _named_ones(cohort: Cohort, wanted: Mapping[Path, str]) -> _Chosen:
    folders = [shown for path, shown in wanted.items() if path.is_dir()]
    if folders:
        raise ConfigError(f"{_listed(folders)}: a folder. Name the files in it")
    absent = [shown for path, shown in wanted.items() if not path.is_file()]
    if absent:
        raise ConfigError(f"no such file: {_listed(absent)}")
    pattern = cohort.signals.files
    depth = _PART.sub("", pattern).count("/")
    roots = dict.fromkeys(path.parents[min(depth, len(path.parents) - 1)] for path in wanted)
    found: dict[Path, SourceFile] = {}
    why: dict[Path, str] = {}
    for root in roots:
        sources, rejects = find_files(cohort, root)
        found |= {_place(source.path): source for source in sources}
        why |= {root / reject.subject: reject.reason for reject in rejects}
    _check_all_known(cohort, wanted, found, why)
    chosen = {path: found[path] for path in wanted if path in found}
    used = [root for root in roots if any(path.is_relative_to(root) for path in chosen)]
    if len({path.parents[depth] for path in chosen}) > 1:
        listed = "" if cohort.privacy else f" ({_listed([str(root) for root in used])})"
        raise ConfigError(f"the files lie in different folders{listed}: predict the files of one folder at a time")
    others = [source for path, source in found.items() if path not in chosen]
    return _Chosen(used[0], list(chosen.values()), others)


def _check_all_known(
    cohort: Cohort, wanted: Mapping[Path, str], found: Mapping[Path, SourceFile], why: Mapping[Path, str]
) -> None:
    companions = {_place(path) for source in found.values() for path in source.companions.values()}
    # A header and its samples share their name: who names them all, as a shell does with *, means one recording.
    stems = {path.with_suffix("") for path in wanted if path in found}
    strange = {
        path: shown
        for path, shown in wanted.items()
        if path not in {*found, *companions} and path.with_suffix("") not in stems
    }
    refused = [f"{shown}: {why[path]}" for path, shown in strange.items() if path in why]
    if refused:
        raise ConfigError(f"{_listed(refused)}. Rename it, or describe where the files are from with --cohort")
    if strange:
        raise ConfigError(
            f"{_listed(list(strange.values()))}: the name does not match `signals.files` of the cohort "
            f"{cohort.name!r}, {cohort.signals.files!r}, so nothing says whose it is. Name files that match, or "
            "describe them with --cohort"
        )
    if not any(path in found for path in wanted):
        raise ConfigError(
            f"{_listed(list(wanted.values()))}: nothing but what belongs to other files: name those that "
            f"`signals.files` of the cohort {cohort.name!r} describes, {cohort.signals.files!r}"
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _N_NAMED} more" if len(names) > _N_NAMED else ""
    return ", ".join(names[:_N_NAMED]) + more


# --- what only their neighbours show ---------------------------------------------------------------------------


def _copies(sources: Sequence[SourceFile], others: Sequence[SourceFile], cohort: Cohort) -> list[SourceFile]:
    """Other files with the same bytes as one to predict: whose recording it is, one of the names says wrongly."""
    sizes = {source_bytes(source, cohort) for source in sources}
    suspects = [source for source in others if source_bytes(source, cohort) in sizes]
    if not suspects:
        return []
    held = {source_sha256(source, cohort) for source in sources}
    return [source for source in suspects if source_sha256(source, cohort) in held]


def _beside(others: Sequence[SourceFile], n_read: int) -> list[SourceFile]:
    """Some of the others, from all over the folder."""
    n = min(len(others), max(_MIN_BESIDE, _BESIDE_EACH * n_read))
    return [others[place] for place in np.linspace(0, len(others) - 1, n).round().astype(int)] if n else []


def _lengths(sources: Sequence[SourceFile], cohort: Cohort) -> pd.DataFrame:
    """``source``, ``duration_s`` and ``start_s`` of what could be read of these."""
    rows = []
    for source in sources:
        try:
            stretches = stretches_of(open_source(source, cohort))
        except (ReadError, OSError):
            continue
        rows += [(source.relative, one.stop_s - one.start_s, one.start_s) for one in stretches]
    return pd.DataFrame(rows, columns=["source", "duration_s", "start_s"])
