"""Device and precision."""

from __future__ import annotations

import logging

import pytest
import torch

from ppgssl.selfsupervised.devices import choose_precision, device_name, make_fabric, quiet


def test_a_gpu_computes_in_bfloat16_and_everything_else_in_float32():
    assert choose_precision(is_cuda=True) == "bf16-mixed"
    assert choose_precision(is_cuda=False) == "32-true"


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
