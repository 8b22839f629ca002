"""How much memory a study's samples may take."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

_PROPORTION = 0.5
# Where a container, or a job of a cluster, finds its own limit and what it uses of it: control groups 2 and 1.
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def samples_budget(memory_gb: float | None) -> int:
    """Bytes that samples may take: ``memory_gb`` (1e9 bytes each), or half of the memory available now.

    Available is what the system can give without swapping, and no more than the limit of the container leaves.
    """
    return int(_PROPORTION * available_bytes() if memory_gb is None else 1e9 * memory_gb)


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that a process may take, in bytes; ``root`` is where the system's files are."""
    found = [psutil.virtual_memory().available]
    for limit, used in _LIMITS:
        with suppress(OSError, ValueError):  # absent, or "max"
            found.append(_number(root, limit) - _number(root, used))
    return max(0, min(found))


def _number(root: Path, file: str) -> int:
    return int((root / file.lstrip("/")).read_text())
