"""What made an artefact: ``run.json`` next to it, with configuration, seeds, versions and hashes of the inputs."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

RUN_FILE = "run.json"
_SMALL_BYTES = 100_000
_PACKAGES = (
    "ppgssl",
    "numpy",
    "scipy",
    "pandas",
    "pyarrow",
    "deltalake",
    "scikit-learn",
    "neurokit2",
    "torch",
    "lightning-fabric",
    "safetensors",
    "pydantic",
    "matplotlib",
    "typst",
)


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(_SMALL_BYTES)
        if len(head) < _SMALL_BYTES:  # as nearly all are: a digest of a file would set up a large buffer for each
            return hashlib.sha256(head).hexdigest()
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(value: Any) -> str:
    """SHA-256 of a value's canonical JSON: equal exactly when the value is equal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def system() -> str:
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPU cores"


def utc_now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def peak_memory_mb() -> float:
    """Largest resident memory that this process, or one of its finished children, has had so far."""
    try:
        import resource
    except ImportError:  # on Windows, which counts this process alone
        import psutil

        return float(psutil.Process().memory_info().peak_wset / 1e6)
    scale = 1 if sys.platform == "darwin" else 1024
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return max(own, children) * scale / 1e6


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A file to write to, which takes the place of ``path`` at the end; after an error it is removed.

    A reader sees the old file or the new one, never a part.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)  # it would take the room that is missing
        raise


def write_atomically(path: Path, content: str | bytes | memoryview, *, sync: bool = False) -> None:
    """Replace a file as a whole, see :func:`replaced`; ``sync`` waits until the content is on the disk."""
    with replaced(path) as temporary, temporary.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        if sync:
            file.flush()
            os.fsync(file.fileno())


class Stopwatch:
    """Time and memory of one stage, and the ``run.json`` that records them."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._started_utc = utc_now()

    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def write(self, folder: Path, stage: str, *, made_of: str, **facts: Any) -> None:
        """Write ``run.json`` into ``folder``.

        ``made_of`` is the fingerprint of all that decides the artefact; :func:`made_of` reads it back.
        """
        record = {
            "stage": stage,
            "made_of": made_of,
            "started_utc": self._started_utc,
            "seconds": round(self.seconds(), 2),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "versions": versions(),
            "platform": system(),
            **facts,
        }
        write_atomically(folder / RUN_FILE, json.dumps(record, indent=1, ensure_ascii=False))


def read_run(folder: Path) -> Mapping[str, Any] | None:
    """The ``run.json`` of a finished artefact, or None."""
    try:
        record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return record if isinstance(record, dict) else None


def made_of(folder: Path) -> str | None:
    """Fingerprint of what a finished artefact was made of, or None where there is no finished artefact."""
    record = read_run(folder)
    return None if record is None else record.get("made_of")
