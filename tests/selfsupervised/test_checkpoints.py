"""Checkpoints: whole, and only for the run that wrote them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.checkpoints import (
    CHECKPOINT_FILE,
    load_checkpoint,
    remove_checkpoints,
    run_fingerprint,
    save_checkpoint,
)
from ppgssl.selfsupervised.training_data import TrainingData


def make_fingerprint(level=0.0, train=(0, 1), validation=(2,), fs_hz=100.0, seed=0, **changed):
    bank = SegmentBank(np.full((1, 40), level), [0, 10, 20], 10, np.zeros((3, 1)), np.ones((3, 1)))
    settings = Pretraining(**{"objective": "masked-autoencoder", "encoder": ResNet1dShape(width=4), **changed})
    data = TrainingData(bank, np.array(train), np.array(validation), None, None)
    return run_fingerprint(data.digest(settings), settings, fs_hz=fs_hz, seed=seed)


@pytest.mark.parametrize(
    "changed",
    [
        {"level": 1.0},
        {"train": (1, 0)},
        {"validation": (1,)},
        {"fs_hz": 50.0},
        {"seed": 1},
        {"n_steps": 7},
        {"objective": {"name": "masked-autoencoder", "mask_ratio": 0.25}},
    ],
)
def test_the_fingerprint_follows_everything_that_decides_the_weights(changed):
    assert make_fingerprint(**changed) != make_fingerprint()
    assert make_fingerprint() == make_fingerprint()


def test_a_state_comes_back_as_it_was(tmp_path):
    state = {"weights": torch.randn(3, 4), "step": 7, "losses": [0.1, None]}
    save_checkpoint(tmp_path, "abc", state)
    loaded, reason = load_checkpoint(tmp_path, "abc")
    assert reason is None
    assert torch.equal(loaded["weights"], state["weights"])
    assert (loaded["step"], loaded["losses"]) == (7, [0.1, None])
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_FILE]


def test_an_empty_folder_is_no_reason_to_complain(tmp_path):
    assert load_checkpoint(tmp_path, "abc") == (None, None)


def test_a_checkpoint_of_another_run_is_not_used_and_the_reason_is_given(tmp_path):
    save_checkpoint(tmp_path, "abc", {})
    state, reason = load_checkpoint(tmp_path, "def")
    assert state is None
    assert "other settings, another seed or other data" in reason


class _Code:
    """What a checkpoint may not hold: something that runs when it is read."""

    def __reduce__(self):
        return (print, ("a checkpoint ran code",))


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "code"])
def test_a_damaged_checkpoint_is_not_used_and_the_reason_is_given(tmp_path, damage, capsys):
    save_checkpoint(tmp_path, "abc", {"weights": torch.zeros(1000)})
    path = tmp_path / CHECKPOINT_FILE
    content = {"cut": path.read_bytes()[:700], "text": b"no checkpoint at all", "empty": b""}.get(damage)
    if content is None:
        torch.save({"made_of": "abc", "weights": _Code()}, path)
    else:
        path.write_bytes(content)
    state, reason = load_checkpoint(tmp_path, "abc")
    assert state is None
    assert "is damaged" in reason
    assert capsys.readouterr().out == ""


def test_leftovers_of_a_kill_are_removed_too(tmp_path):
    save_checkpoint(tmp_path, "abc", {})
    (tmp_path / f".{CHECKPOINT_FILE}.123").write_bytes(b"half")
    (tmp_path / "model.json").write_text("{}")
    remove_checkpoints(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.json"]
