"""Which files of a folder belong to a cohort, and whose they are."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ConfigError
from ppgssl.core.reasons import Reason
from ppgssl.core.records import Reject
from ppgssl.core.text import Message, suggest

FIELDS = ("patient", "visit", "recording")
_FIELD = re.compile(r"\{(\w*)(?::((?:[^{}]|\{[^{}]*\})*))?\}")


@dataclass(frozen=True)
class SourceFile:
    """One raw file of a cohort.

    Attributes
    ----------
    relative : str
        Its path under the cohort's root, with forward slashes.
    patient_id, visit, recording : str
        The fields of its name; ``visit`` and ``recording`` are empty where the pattern has no such field.
    recording_id : str
        Patient, visit and recording joined by underscores: unique in the cohort.
    companions : mapping of path pattern to Path
        Files of the same recording: those of channels that have their own, and the device's trends, where they exist.
    """

    path: Path
    relative: str
    patient_id: str
    recording_id: str
    recording: str = ""
    visit: str = ""
    companions: Mapping[str, Path] = field(default_factory=dict)

    def fields(self, names: Iterable[str]) -> tuple[str, ...]:
        """These fields of the file name."""
        fields = {"patient": self.patient_id, "visit": self.visit, "recording": self.recording}
        return tuple(fields[name] for name in names)


@dataclass(frozen=True)
class _Pattern:
    """The same pattern read in three ways: fields as short, and as long, as they can be; and letter case ignored."""

    shortest: re.Pattern[str]
    longest: re.Pattern[str]
    any_case: re.Pattern[str]
    folder: str


def find_files(cohort: Cohort, root: Path) -> tuple[list[SourceFile], list[Reject]]:
    """Find the files that match ``signals.files``, in natural order (2 before 10), each with its companions.

    Hidden files and folders, whose names begin with a dot, are passed over, as are files that do not match.

    Parameters
    ----------
    cohort : Cohort
        ``signals.files`` is a path with the fields ``{patient}``, ``{visit}``, ``{recording}``. A field stands for
        anything but a slash, or for its own regular expression: ``{patient:[0-9]{3}}``. A field that occurs twice
        must have the same text both times. The patterns of ``channels.*.file`` and ``trends.file`` are read likewise;
        a companion belongs to the recording that has the same text in all fields of the companion's pattern.
    root : Path
        Folder of the raw files.

    Returns
    -------
    sources : list of SourceFile
    rejects : list of Reject
        Files and folders whose real place is outside ``root``; names that match only if letter case or white space is
        ignored; names that can be read in two ways; names that are no valid text; folders that cannot be listed;
        companions without a recording.

    Raises
    ------
    ConfigError
        If the pattern leaves the root, has an unknown field, or a broken regular expression.
    """
    root = root.resolve()
    main = cohort.signals.files
    companions = companion_patterns(cohort)
    parsed = {files: _parse(files, key) for files, key in {main: "signals.files", **companions}.items()}
    for files, key in companions.items():
        _check_companion(files, key, main)
    matches, rejects = _match_all(root, parsed)
    sources = _with_unique_ids(sorted(matches[main], key=_natural))
    for files in companions:
        sources, lonely = _with_companions(sources, files, matches[files])
        rejects += lonely
    return sources, sorted(dict.fromkeys(rejects), key=lambda reject: reject.subject)


def companion_patterns(cohort: Cohort) -> dict[str, str]:
    """Pattern of each kind of companion file, and the key of ``cohort.yaml`` that gives it."""
    signals = cohort.signals
    keys = {source.file: f"signals.channels.{name}.file" for name, source in signals.channels.items() if source.file}
    return keys | ({signals.trends.file: "signals.trends.file"} if signals.trends else {})


def fill_pattern(files: str, fields: Mapping[str, str]) -> str:
    """The path that a pattern stands for where its fields have these texts."""
    return _FIELD.sub(lambda match: fields[match[1]], files)


def _match_all(root: Path, patterns: Mapping[str, _Pattern]) -> tuple[dict[str, list[SourceFile]], list[Reject]]:
    """Files that match each pattern, and what is wrong with others."""
    sources: dict[str, list[SourceFile]] = {files: [] for files in patterns}
    rejects: list[Reject] = []
    for folder in dict.fromkeys(pattern.folder for pattern in patterns.values()):
        of_folder = {files: pattern for files, pattern in patterns.items() if pattern.folder == folder}
        for path in _walk(root, root / folder):
            if isinstance(path, Reject):
                rejects.append(path)
                continue
            relative = str(path)[len(str(root)) :].replace(os.sep, "/").lstrip("/")
            matches = {files: item for files, one in of_folder.items() if (item := _match(root, path, relative, one))}
            for files, item in matches.items():
                if isinstance(item, SourceFile):
                    sources[files].append(item)
                else:
                    rejects.append(item)
            if not matches:
                rejects += [near for pattern in of_folder.values() if (near := _near_match(relative, pattern))]
    return sources, rejects


def _field_names(files: str) -> list[str]:
    return list(dict.fromkeys(name for name, _ in _FIELD.findall(files)))


def _check_companion(files: str, key: str, main: str) -> None:
    unknown = [name for name in _field_names(files) if name not in _field_names(main)]
    if unknown:
        raise ConfigError(
            f"`{key}` is {files!r}: the field {{{unknown[0]}}} is not one of `signals.files` ({main!r}), so nothing "
            "shows which recording the file belongs to"
        )


def _with_companions(
    sources: Sequence[SourceFile], pattern: str, found: Sequence[SourceFile]
) -> tuple[list[SourceFile], list[Reject]]:
    """The sources, each with its file of ``found``; and a reject for each file of ``found`` that belongs to none."""
    names = _field_names(pattern)
    path_of = {file.fields(names): file.path for file in found}
    known = {source.fields(names) for source in sources}
    joined = [
        replace(source, companions={**source.companions, pattern: path_of[source.fields(names)]})
        if source.fields(names) in path_of
        else source
        for source in sources
    ]
    why = Message(
        "no file of `signals.files` has the same patient, visit and recording: was one not copied, or renamed?"
    )
    lonely = [file.relative for file in found if file.fields(names) not in known]
    return joined, [Reject(Reason.FILE_WITHOUT_RECORDING, name, why) for name in lonely]


# --- the pattern -----------------------------------------------------------------------------------------------


def _parse(files: str, key: str) -> _Pattern:
    _check(files, key)
    shortest, longest = (_compiled(files, key, anything) for anything in ("[^/]+?", "[^/]+"))
    literal = _FIELD.split(files)[0]
    return _Pattern(shortest, longest, re.compile(shortest.pattern, re.IGNORECASE), literal.rpartition("/")[0])


def _check(files: str, key: str) -> None:
    start = f"`{key}` is {files!r}:"
    names = [name for name, _ in _FIELD.findall(files)]
    literal = _FIELD.sub("", files)
    unknown = [name for name in names if name not in FIELDS]
    if unknown:
        near = suggest(unknown[0], FIELDS)
        raise ConfigError(f"{start} unknown field {{{unknown[0]}}}{near}; known: {', '.join(FIELDS)}")
    if "patient" not in names or set(literal) & set("{}"):
        raise ConfigError(f"{start} expected a path with the field {{patient}} and balanced braces")
    if files.startswith(("/", "~")) or ".." in PurePosixPath(literal).parts:
        raise ConfigError(f"{start} it must be a path under `root`, without a leading / and without ..")
    if set(literal) & set("*?\\"):
        raise ConfigError(
            f"{start} * and ? are not known, and folders are divided by /. Write a field for each part that varies, "
            "for example {recording}, with a regular expression if need be: {recording:[0-9]+}."
        )


def _compiled(files: str, key: str, anything: str) -> re.Pattern[str]:
    expression, end = "", 0
    for field_ in _FIELD.finditer(files):
        name = field_[1]
        group = f"(?P={name})" if f"(?P<{name}>" in expression else f"(?P<{name}>{field_[2] or anything})"
        expression += re.escape(files[end : field_.start()]) + group
        end = field_.end()
    try:
        return re.compile(expression + re.escape(files[end:]))
    except re.error as error:
        raise ConfigError(f"`{key}` is {files!r}: a field's regular expression is wrong: {error}") from None


def _match(root: Path, path: Path, relative: str, pattern: _Pattern) -> SourceFile | Reject | None:
    short, long = pattern.shortest.fullmatch(relative), pattern.longest.fullmatch(relative)
    if not short or not long:
        return None
    if any(short[name] != long[name] for name in short.groupdict()):
        return _ambiguous(relative, short, long)
    if path.is_symlink() and not _real(path).is_relative_to(root):
        return _outside(relative)
    if re.search("[\ud800-\udfff]", relative):
        shown = relative.encode("ascii", "backslashreplace").decode()
        return Reject(Reason.NAME_NOT_TEXT, shown, Message("rename the file: its name is not UTF-8"))
    patient, visit, recording = (short.groupdict().get(name) or "" for name in FIELDS)
    recording_id = "_".join(text for text in (patient, visit, recording) if text)
    return SourceFile(path, relative, patient, recording_id, recording, visit)


def _near_match(relative: str, pattern: _Pattern) -> Reject | None:
    tidy = re.sub(r"\s*([/.]|$)\s*", r"\1", unicodedata.normalize("NFC", relative))
    if not pattern.any_case.fullmatch(tidy):
        return None
    shown = relative.encode("utf-8", "backslashreplace").decode()
    detail = Message(
        "it would match `signals.files` but for letter case or white space: rename it, or correct the pattern"
    )
    return Reject(Reason.NAME_NEARLY_MATCHES, shown, detail)


def _ambiguous(relative: str, short: re.Match[str], long: re.Match[str]) -> Reject:
    detail = Message("its fields can be divided in two ways: give the fields of `signals.files` regular expressions")
    if short["patient"] != long["patient"]:
        detail = Message(
            "the patient could be {short!r} or {long!r}: give the fields of `signals.files` regular expressions, for "
            "example {{patient:[A-Z]+[0-9]+}}",
            short=short["patient"],
            long=long["patient"],
        )
    return Reject(Reason.NAME_AMBIGUOUS, relative, detail)


def _outside(relative: str) -> Reject:
    detail = Message(
        "a link leads out of the cohort's root: copy the data into the root, or set `root` to where they lie"
    )
    return Reject(Reason.OUTSIDE_ROOT, relative, detail)


# --- the folder ------------------------------------------------------------------------------------------------


def _walk(root: Path, folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path | Reject]:
    """Files under ``folder``; links are followed inside ``root``, except back to a folder ``above``."""
    relative = folder.relative_to(root).as_posix()
    try:
        real = _real(folder)
        if not real.is_relative_to(root):
            yield _outside(relative)
            return
        entries = sorted(os.scandir(real), key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        detail = Message("{error}: ask its owner for permission", error=type(error))
        yield Reject(Reason.FOLDER_UNREADABLE, relative, detail)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        path = folder / entry.name
        # Links may lead in a circle, of which only the first of these complains.
        if not (entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(path))):
            yield path
        elif _real(path) not in (*above, real):
            yield from _walk(root, path, (*above, real))


def _real(path: Path) -> Path:
    # Path.resolve raises on links that lead in a circle.
    return Path(os.path.realpath(path))


def _natural(source: SourceFile) -> list[tuple[int, int | str]]:
    parts = re.split(r"([0-9]+)", source.relative)
    return [(0, int(part)) if part.isdecimal() and part.isascii() else (1, part) for part in parts]


def _with_unique_ids(sources: list[SourceFile]) -> list[SourceFile]:
    # Patient a_1 with recording 2, and patient a with recording 1_2: only paths distinguish them.
    counts = Counter(source.recording_id for source in sources)
    return [
        source if counts[source.recording_id] == 1 else replace(source, recording_id=source.relative)
        for source in sources
    ]
