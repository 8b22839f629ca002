"""Joules from counters that come round, are missing, or may not be read."""

from __future__ import annotations

import pytest
import torch

from ppgssl.selfsupervised.resource_use import (
    POWERCAP,
    Counter,
    Energy,
    EnergyMeter,
    Uncounted,
    cpu_counters,
    gpu_counters,
)

END = 262_143_328_850


def write_zone(powercap, folder, name, energy_uj):
    path = powercap / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{energy_uj}\n")
    (path / "max_energy_range_uj").write_text(f"{END}\n")


@pytest.fixture
def powercap(tmp_path):
    """Two processors, the memory of one, and zones that are parts or sums of these."""
    for folder, name in (
        ("intel-rapl:0", "package-0"),
        ("intel-rapl:1", "package-1"),
        ("intel-rapl:2", "psys"),
        ("intel-rapl:0:0", "core"),
        ("intel-rapl:0:1", "dram"),
    ):
        write_zone(tmp_path, folder, name, 1_000_000)
    return tmp_path


def test_packages_and_their_memory_are_counted_and_nothing_twice(powercap):
    meter = EnergyMeter(powercap=powercap)
    for folder in ("intel-rapl:0", "intel-rapl:1", "intel-rapl:2", "intel-rapl:0:0", "intel-rapl:0:1"):
        write_zone(powercap, folder, (powercap / folder / "name").read_text().strip(), 3_500_000)
    assert meter.energy() == Energy(pytest.approx(7.5), None, "")
    assert meter.energy().cpu_joules == pytest.approx(7.5)


def test_a_counter_that_comes_round_goes_on_rising(powercap):
    write_zone(powercap, "intel-rapl:0", "package-0", END - 2_000_000)
    meter = EnergyMeter(powercap=powercap)
    write_zone(powercap, "intel-rapl:0", "package-0", 1_000_000)
    meter.update()
    write_zone(powercap, "intel-rapl:0", "package-0", 2_000_000)
    assert meter.energy().cpu_joules == pytest.approx(4.0)


def test_without_counters_the_reason_is_given(tmp_path):
    energy = EnergyMeter(powercap=tmp_path / "absent").energy()
    assert (energy.cpu_joules, energy.gpu_joules) == (None, None)
    assert energy.note == f"energy of the CPU not counted: no counter in {tmp_path / 'absent'}"


def test_counters_that_cannot_be_read_are_no_reason_to_stop(powercap):
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(Uncounted, match=r"cannot read .*intel-rapl:0: No such file"):
        cpu_counters(powercap)
    meter = EnergyMeter(powercap=powercap)
    assert meter.energy().cpu_joules is None
    write_zone(powercap, "intel-rapl:0", "package-0", 0)
    meter = EnergyMeter(powercap=powercap)
    (powercap / "intel-rapl:1" / "energy_uj").write_text("unplugged")
    assert meter.energy().cpu_joules is None
    assert "a counter failed" in meter.energy().note


def test_this_machine_is_measured_or_gives_the_reason():
    energy = EnergyMeter().energy()
    assert (energy.cpu_joules is None) == bool(energy.note)
    if not POWERCAP.is_dir():
        assert energy.note == f"energy of the CPU not counted: no counter in {POWERCAP}"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_the_driver_of_a_gpu_the_reason_is_given():
    class NvmlError(Exception):
        pass

    class Library:
        """Stands in for pynvml on a machine without a driver."""

        NVMLError = NvmlError

        @staticmethod
        def nvmlInit():
            raise NvmlError("Driver Not Loaded")

    with pytest.raises(Uncounted, match="energy of the GPU not counted: Driver Not Loaded"):
        gpu_counters([torch.device("cuda", 0)], Library)


def test_energy_of_sessions_adds_up_and_is_unknown_if_that_of_one_is():
    whole = Energy(1.0, None, "no GPU") + Energy(2.0, 3.0, "")
    assert whole == Energy(3.0, None, "no GPU")


def test_a_counter_without_an_end_is_taken_at_its_word():
    values = iter([5, 8])
    counter = Counter(lambda: next(values), 1e-3)
    counter.update()
    assert counter.total == pytest.approx(0.003)
