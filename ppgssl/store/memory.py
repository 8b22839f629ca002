"""How much memory a study's samples may take."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

_SHARE = 0.5
# Where a container, or a job of a cluster, finds its own limit and what it uses of it: control groups 2 and 1.
_LIMITS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def samples_budget(memory_gb: float | None) -> int:
    """Bytes that samples may take: ``memory_gb`` (1e9 bytes each), or half of the memory available now.

    Available is what Linux can give without swapping (``MemAvailable``), and no more than the limit of the container
    leaves; on other systems, all memory that the machine has.
    """
    return int(_SHARE * available_bytes() if memory_gb is None else 1e9 * memory_gb)


def available_bytes(root: Path = Path("/")) -> int:
    """Memory that a process may take, in bytes; ``root`` is where the system's files are."""
    found = [_machine_bytes(root)]
    for limit, used in _LIMITS:
        with suppress(OSError, ValueError):  # absent, or "max"
            found.append(_number(root, limit) - _number(root, used))
    return max(0, min(found))


def _machine_bytes(root: Path) -> int:
    with suppress(OSError):
        known = re.search(r"^MemAvailable:\s*(\d+) kB", (root / "proc/meminfo").read_text(), re.MULTILINE)
        if known:
            return 1024 * int(known[1])
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _number(root: Path, file: str) -> int:
    return int((root / file.lstrip("/")).read_text())
