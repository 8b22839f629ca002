"""Which raw files are to be predicted, and what only the other files of their folder show."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.config.loading import cohort_root
from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.records import Reject
from ppgssl.core.text import listed
from ppgssl.readers.files import SourceFile, find_files
from ppgssl.readers.sources import open_source, source_bytes, source_sha256
from ppgssl.stages.ingest.file_tasks import intervals_of

_PART = re.compile(r"\{\w*(?::(?:[^{}]|\{[^{}]*\})*)?\}")
# Other files of the folder, of which the length is looked up: at least so many, and so many for each file to predict.
_MIN_OTHERS, _OTHERS_EACH = 20, 5


@dataclass(frozen=True)
class RawFiles:
    """Files to predict, the others of their cohort, and what is wrong with the names of files."""

    root: Path
    sources: list[SourceFile] = field(default_factory=list)
    others: list[SourceFile] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


def choose_files(cohort: Cohort, files: Sequence[Path], cohort_file: Path | None) -> RawFiles:
    """The files to predict, as the cohort's pattern sees them, and the folder that they lie under.

    Raises ConfigError if a file does not match the pattern, or nobody could place it.
    """
    if files:
        # In messages; with `privacy` by its number, for its name may be a patient's.
        shown = [f"file {n} of those given" if cohort.privacy else str(path) for n, path in enumerate(files, start=1)]
        return _choose_named(cohort, {_place(path): text for path, text in zip(files, shown, strict=True)})
    if cohort_file is None:
        return RawFiles(Path.cwd())
    root = cohort_root(cohort, cohort_file)
    sources, rejects = find_files(cohort, root)
    return RawFiles(root, sources, rejects=rejects)


def _place(path: Path) -> Path:
    """Where a file lies, links among its folders followed; but of a link itself, where that lies."""
    return path.parent.resolve() / path.name


def _choose_named(cohort: Cohort, wanted: Mapping[Path, str]) -> RawFiles:
    folders = [shown for path, shown in wanted.items() if path.is_dir()]
    if folders:
        raise ConfigError(f"{listed(folders)}: a folder. Name the files in it")
    absent = [shown for path, shown in wanted.items() if not path.is_file()]
    if absent:
        raise ConfigError(f"no such file: {listed(absent)}")
    depth = _PART.sub("", cohort.signals.files).count("/")
    roots = dict.fromkeys(path.parents[min(depth, len(path.parents) - 1)] for path in wanted)
    known: dict[Path, SourceFile] = {}
    why: dict[Path, str] = {}
    for root in roots:
        sources, rejects = find_files(cohort, root)
        known |= {_place(source.path): source for source in sources}
        why |= {root / reject.subject: reject.reason.text for reject in rejects}
    _check_all_known(cohort, wanted, known, why)
    chosen = {path: known[path] for path in wanted if path in known}
    used = [root for root in roots if any(path.is_relative_to(root) for path in chosen)]
    if len({path.parents[depth] for path in chosen}) > 1:
        places = "" if cohort.privacy else f" ({listed([str(root) for root in used])})"
        raise ConfigError(f"the files lie in different folders{places}: predict the files of one folder at a time")
    others = [source for path, source in known.items() if path not in chosen]
    return RawFiles(used[0], list(chosen.values()), others)


def _check_all_known(
    cohort: Cohort, wanted: Mapping[Path, str], known: Mapping[Path, SourceFile], why: Mapping[Path, str]
) -> None:
    companions = {_place(path) for source in known.values() for path in source.companions.values()}
    # A header and its samples have one name: both given, as by a shell's *, are one recording.
    stems = {path.with_suffix("") for path in wanted if path in known}
    strange = {
        path: shown
        for path, shown in wanted.items()
        if path not in {*known, *companions} and path.with_suffix("") not in stems
    }
    refused = [f"{shown}: {why[path]}" for path, shown in strange.items() if path in why]
    if refused:
        raise ConfigError(f"{listed(refused)}. Rename it, or describe where the files are from with --cohort")
    pattern = f"`signals.files` of the cohort {cohort.name!r}"
    if strange:
        raise ConfigError(
            f"{listed(list(strange.values()))}: the name does not match {pattern}, {cohort.signals.files!r}, so "
            "its patient is not known. Name files that match, or describe them with --cohort"
        )
    if not any(path in known for path in wanted):
        raise ConfigError(
            f"{listed(list(wanted.values()))}: nothing but what belongs to other files: name those that {pattern} "
            f"describes, {cohort.signals.files!r}"
        )


# --- what only the other files show ----------------------------------------------------------------------------


def copies(sources: Sequence[SourceFile], others: Sequence[SourceFile], cohort: Cohort) -> list[SourceFile]:
    """Other files with the same bytes as one to predict: one of the two names a wrong patient."""
    sizes = {source_bytes(source, cohort) for source in sources}
    candidates = [source for source in others if source_bytes(source, cohort) in sizes]
    if not candidates:
        return []
    held = {source_sha256(source, cohort) for source in sources}
    return [source for source in candidates if source_sha256(source, cohort) in held]


def lengths_of_others(others: Sequence[SourceFile], n_read: int, cohort: Cohort) -> pd.DataFrame:
    """``source``, ``duration_s`` and ``start_s`` of some of the other files, from all over the folder."""
    n = min(len(others), max(_MIN_OTHERS, _OTHERS_EACH * n_read))
    rows = []
    for place in np.linspace(0, len(others) - 1, n).round().astype(int) if n else ():
        source = others[place]
        try:
            intervals = intervals_of(open_source(source, cohort))
        except (ReadError, OSError):
            continue
        rows += [(source.relative, one.stop_s - one.start_s, one.start_s) for one in intervals]
    return pd.DataFrame(rows, columns=["source", "duration_s", "start_s"])
