"""Time and energy that a run takes, over all its sessions, and how far it is.

Energy is what counters of the machine show, or unknown. Packages that do the same (codecarbon, zeus) bring ten further
packages, clients of web services among them, and estimate from tables of processors where no counter can be read.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Energy:
    """Joules by counter, None where nothing counts.

    Of the CPU they are those of all processors of the machine and their memory, whatever else they did meanwhile; of
    the GPU, of those in use. ``note`` holds what was counted, and why the rest was not.
    """

    cpu_joules: float | None
    gpu_joules: float | None
    note: str

    def __add__(self, other: Energy) -> Energy:
        """Of two sessions together; unknown if that of one is."""
        cpu, gpu = (
            None if one is None or another is None else one + another
            for one, another in ((self.cpu_joules, other.cpu_joules), (self.gpu_joules, other.gpu_joules))
        )
        return Energy(cpu, gpu, other.note or self.note)


@dataclass(frozen=True)
class ResourceUse:
    """What a run has taken so far; ``energy`` is unknown as soon as that of one session is."""

    seconds: float = 0.0
    energy: Energy = field(default_factory=lambda: Energy(0.0, 0.0, ""))


class Session:
    """A part of a run without interruption, which begins when this is made.

    ``before`` is the use of the sessions before, ``step`` the number of steps that are done already, and ``gpus`` are
    those whose energy is counted in addition to that of the processor.
    """

    def __init__(self, before: ResourceUse, step: int, gpus: Sequence[torch.device]) -> None:
        self._before, self._first_step, self._meter = before, step, EnergyMeter(gpus)
        self._started = time.perf_counter()

    def update(self) -> None:
        """To be called every few minutes, or a counter of energy might go round unnoticed."""
        self._meter.update()

    def resource_use(self) -> ResourceUse:
        """Of this session so far, and of those before."""
        seconds = self._before.seconds + time.perf_counter() - self._started
        return ResourceUse(seconds, self._before.energy + self._meter.energy())

    def seconds_left(self, step: int, n_steps: int) -> float:
        per_step = (time.perf_counter() - self._started) / max(1, step - self._first_step)
        return per_step * (n_steps - step)


@dataclass(frozen=True)
class StepProgress:
    """How far a run is: ``step`` of ``n_steps`` are done.

    ``train_loss`` is the mean since the last evaluation, ``validation_loss`` that of the last evaluation, and
    ``warning`` what it found wrong with the representation; mostly empty.
    """

    step: int
    n_steps: int
    train_loss: float
    validation_loss: float
    seconds_left: float
    warning: str


class Uncounted(Exception):
    """There is no counter, or it cannot be read; the message gives the reason."""


@dataclass
class Counter:
    """``read`` returns a count of so many joules each; it only rises, or starts again at 0 after ``end`` counts."""

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

    ``powercap`` is where Linux shows the counters of Intel and AMD processors (RAPL), which start again after some
    minutes of hard work: :meth:`update` must be called more often.
    """

    def __init__(self, gpus: Sequence[torch.device] = (), *, powercap: Path = POWERCAP) -> None:
        self._cpu, cpu_note = _counters_or_reason(lambda: cpu_counters(powercap))
        self._gpu, gpu_note = _counters_or_reason(lambda: gpu_counters(gpus)) if gpus else ([], "")
        self._note = "; ".join(filter(None, [cpu_note, gpu_note]))

    def update(self) -> None:
        """Add what was used since the last call; one that fails is given up: no training should end for it."""
        try:
            for counter in [*self._cpu, *self._gpu]:
                counter.update()
        except Exception as error:  # of the system or of the driver
            self._cpu, self._gpu, self._note = [], [], f"energy not counted: a counter failed: {error}"

    def energy(self) -> Energy:
        self.update()
        cpu, gpu = (sum(one.total for one in found) if found else None for found in (self._cpu, self._gpu))
        return Energy(cpu, gpu, self._note)


def cpu_counters(powercap: Path = POWERCAP) -> list[Counter]:
    """Counters of the processors and of their memory.

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
    """Counters of NVIDIA GPUs, by way of the package nvidia-ml-py (``library``, by default ``pynvml``).

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
