"""Energy that training takes, where the machine counts it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Energy:
    """Joules by counter.

    Attributes
    ----------
    cpu_joules : float or None
        Of all processors of the machine and their memory, whatever else they did meanwhile; None if nobody counts.
    gpu_joules : float or None
        Of the GPUs in use.
    note : str
        What was counted, and why the rest was not.
    """

    cpu_joules: float | None
    gpu_joules: float | None
    note: str


class Uncounted(Exception):
    """There is no counter, or it cannot be read; the message says why."""


@dataclass
class Counter:
    """A counter that only rises, but for starting again at 0 where it ends.

    Attributes
    ----------
    read : callable
        The count.
    joules : float
        Of one count.
    end : int or None
        Counts after which it starts again at 0.
    """

    read: Callable[[], int]
    joules: float
    end: int | None = None
    total: float = 0.0

    def __post_init__(self) -> None:
        self._last = self.read()

    def update(self) -> None:
        now = self.read()
        rise = now - self._last
        self.total += self.joules * (rise if rise >= 0 or self.end is None else rise + self.end)
        self._last = now


class EnergyMeter:
    """Counts from the moment when it is made.

    Parameters
    ----------
    gpus : sequence of torch.device
        Those whose energy counts.
    powercap : Path
        Where Linux shows the counters of Intel and AMD processors (RAPL), which start again after some minutes of
        hard work: :meth:`update` must be called more often.
    """

    def __init__(self, gpus: Sequence[torch.device] = (), *, powercap: Path = POWERCAP) -> None:
        self._cpu, cpu_note = _counters_or_reason(lambda: cpu_counters(powercap))
        self._gpu, gpu_note = _counters_or_reason(lambda: gpu_counters(gpus)) if gpus else ([], "")
        self._note = "; ".join(filter(None, [cpu_note, gpu_note]))

    def update(self) -> None:
        """Add what was used since the last call; a counter that fails is given up, as no training should end for it."""
        try:
            for counter in [*self._cpu, *self._gpu]:
                counter.update()
        except Exception as error:  # of the system or of the driver
            self._cpu, self._gpu, self._note = [], [], f"energy not counted: a counter failed: {error}"

    def energy(self) -> Energy:
        self.update()
        return Energy(_total(self._cpu), _total(self._gpu), self._note)


def cpu_counters(powercap: Path = POWERCAP) -> list[Counter]:
    """Counters of the processors and of the memory beside them.

    Raises
    ------
    Uncounted
        If there is none, or this user may not read them (as on most systems, since they give secrets away [1]_).

    References
    ----------
    .. [1] Lipp et al., PLATYPUS: software-based power side-channel attacks on x86, IEEE S&P 2021,
       10.1109/SP40001.2021.00063.
    """
    found = []
    for folder in sorted(powercap.glob("intel-rapl:*")):
        try:
            # Not `core` and `uncore`, which are parts of a package, nor `psys`, which holds packages.
            if (folder / "name").read_text().startswith(("package", "dram")):
                found.append(_powercap_counter(folder))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise Uncounted(f"energy of the CPU not counted: cannot read {folder}: {reason}") from None
    if not found:
        raise Uncounted(f"energy of the CPU not counted: no counter in {powercap}")
    return found


def _powercap_counter(folder: Path) -> Counter:
    def read() -> int:
        return int((folder / "energy_uj").read_text())

    return Counter(read, 1e-6, int((folder / "max_energy_range_uj").read_text()))


def gpu_counters(gpus: Sequence[torch.device], library: Any = None) -> list[Counter]:
    """Counters of NVIDIA GPUs, by way of the package nvidia-ml-py.

    Parameters
    ----------
    library : module, optional
        ``pynvml``.

    Raises
    ------
    Uncounted
        If the package is not installed, or the GPU or its driver has no counter.
    """
    try:
        nvml = library or importlib.import_module("pynvml")
    except ImportError:
        raise Uncounted("energy of the GPU not counted: pip install nvidia-ml-py") from None
    try:
        nvml.nvmlInit()
        return [_nvml_counter(nvml, gpu) for gpu in gpus]
    except nvml.NVMLError as error:
        raise Uncounted(f"energy of the GPU not counted: {error}") from None


def _nvml_counter(nvml: Any, gpu: torch.device) -> Counter:
    handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(gpu).uuid}")
    return Counter(lambda: int(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)), 1e-3)


def _counters_or_reason(find: Callable[[], list[Counter]]) -> tuple[list[Counter], str]:
    try:
        return find(), ""
    except Uncounted as reason:
        return [], str(reason)


def add_energy(one: Energy, other: Energy) -> Energy:
    """Of two sittings together; unknown if one is unknown."""
    return Energy(
        _sum(one.cpu_joules, other.cpu_joules), _sum(one.gpu_joules, other.gpu_joules), other.note or one.note
    )


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _total(counters: Sequence[Counter]) -> float | None:
    return sum(counter.total for counter in counters) if counters else None
