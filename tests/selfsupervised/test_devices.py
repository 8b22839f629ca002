"""Device and precision."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch

from ppgssl.selfsupervised.devices import (
    choose_precision,
    cpu_multiplies_bf16,
    cpu_name,
    describe_hardware,
    device_name,
    make_fabric,
    quiet,
)
from ppgssl.selfsupervised.distributed import Team


def test_precision_is_as_wanted_or_the_fastest_of_the_device():
    assert choose_precision(is_cuda=True) == "bf16-mixed"
    assert choose_precision(is_cuda=False) == "32-true"
    on_cpu = "bf16-mixed" if cpu_multiplies_bf16() else "32-true"
    assert choose_precision(is_cuda=False, pays_on_cpu=True) == on_cpu
    for is_cuda in (True, False):
        for wanted in ("bf16-mixed", "32-true"):
            assert choose_precision(wanted, is_cuda=is_cuda) == wanted


@pytest.mark.skipif(not Path("/proc/cpuinfo").is_file(), reason="the system does not list what the processor can do")
def test_what_the_processor_multiplies_is_what_the_system_lists():
    assert cpu_multiplies_bf16() == ("bf16" in Path("/proc/cpuinfo").read_text())


def test_fabric_starts_without_a_word(caplog, capfd):
    fabric = make_fabric()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
    assert fabric.world_size == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_training_runs_on_the_cpu():
    assert device_name(make_fabric().device) in ("CPU", "MPS")


def test_the_log_level_comes_back_even_after_an_error():
    before = logging.getLogger("lightning.fabric").level
    with pytest.raises(RuntimeError), quiet():
        raise RuntimeError
    assert logging.getLogger("lightning.fabric").level == before


def test_the_name_of_the_processor_is_found_or_at_least_its_kind(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Abacus 3000\nflags\t: wood\n")
    assert cpu_name(tmp_path / "cpuinfo") == "Abacus 3000"
    (tmp_path / "cpuinfo").write_text("processor\t: 0\n")
    assert cpu_name(tmp_path / "cpuinfo") == cpu_name(tmp_path / "absent") != ""


def test_the_record_of_the_hardware_is_json():
    record = json.loads(json.dumps(describe_hardware(torch.device("cpu"), "32-true", Team(2, 3))))
    assert (record["precision"], record["gpu"], record["devices"], record["nodes"]) == ("32-true", None, 2, 3)
    assert record["memory_gb"] > 0
    assert record["peak_memory_mb"] > 0


def test_a_job_of_a_cluster_does_not_confuse_a_single_process(monkeypatch):
    # Fabric, left to itself, takes this process for one of four.
    for name, value in {"SLURM_NTASKS": "4", "SLURM_JOB_ID": "1", "SLURM_JOB_NAME": "night"}.items():
        monkeypatch.setenv(name, value)
    assert make_fabric().world_size == 1
