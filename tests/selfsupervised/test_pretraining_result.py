"""A finished run on disk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from ppgssl.core.config.pretraining import ResNet1dShape
from ppgssl.core.errors import StoreError
from ppgssl.selfsupervised.encoder_io import save_encoder
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.pretraining_result import (
    Examples,
    HistoryRow,
    PretrainingResult,
    finished,
    load_result,
    save_result,
)
from ppgssl.selfsupervised.resource_use import Energy


@pytest.fixture
def result():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((2, 3, 1, 50)).astype(np.float32)
    return PretrainingResult(
        encoder=make_encoder(1, ResNet1dShape(width=4, n_stages=1), fs_hz=40.0, seed=0).eval(),
        history=(
            HistoryRow(0, None, 1.0, 0.0, 5.0, 0.0, False),
            HistoryRow(9, 0.1 + 0.2, 1 / 3, None, 4.0, 0.5, True, "all alike"),
        ),
        examples=Examples(np.array([3, 1, 4]), samples[0], rng.random((3, 1, 50)) < 0.5, samples[1]),
        score_name="variance explained",
        seconds=12.5,
        energy=Energy(1.5, None, "no GPU"),
        device="cpu",
        hardware={"cpu": "abacus", "gpu": None},
        n_parameters=123,
        restart_reason=None,
        note="not compiled",
    )


def test_a_result_comes_back_exactly(tmp_path, result):
    save_result(tmp_path, "abc", result)
    loaded = load_result(tmp_path)
    assert loaded.history == result.history
    assert repr(loaded) == repr(result)
    assert (loaded.best, loaded.warnings) == (result.history[1], ("steps 9 to 9: all alike",))
    for name, values in vars(result.examples).items():
        np.testing.assert_array_equal(getattr(loaded.examples, name), values)
    for name, value in result.encoder.state_dict().items():
        assert torch.equal(loaded.encoder.state_dict()[name], value)


def test_a_folder_is_finished_for_its_own_fingerprint_alone(tmp_path, result):
    assert not finished(tmp_path, "abc")
    save_result(tmp_path, "abc", result)
    assert finished(tmp_path, "abc")
    assert not finished(tmp_path, "def")


def test_an_encoder_that_was_not_pretrained_here_has_no_result(tmp_path, result):
    save_encoder(tmp_path, result.encoder, {"note": "from elsewhere"})
    with pytest.raises(StoreError, match="does not describe how the encoder was pretrained"):
        load_result(tmp_path)


def warnings_of(result, rows):
    return replace(result, history=tuple(rows)).warnings


def test_warnings_come_as_a_line_for_each_interval_and_not_for_untrained_weights(result):
    texts = ["untrained", "", "low", "lower", "", "again"]
    rows = [HistoryRow(10 * n, None, 1.0 - n / 10, None, 3.0, 0.0, False, text) for n, text in enumerate(texts)]
    assert warnings_of(result, rows) == ("steps 20 to 30: lower", "steps 50 to 50: again")
    assert warnings_of(result, rows[:2]) == ()


def test_it_is_reported_where_training_never_beat_the_first_weights(result):
    rows = [HistoryRow(10 * n, None, loss, None, 3.0, 0.0, False) for n, loss in enumerate([1.0, 1.1, 1.0])]
    assert "the encoder has learnt nothing" in warnings_of(result, rows)[0]
    assert warnings_of(result, [*rows, HistoryRow(30, None, 0.9, None, 3.0, 0.0, False)]) == ()
    assert warnings_of(result, rows[:1]) == ()  # nothing was trained yet
