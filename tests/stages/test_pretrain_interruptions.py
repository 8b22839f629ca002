"""Whatever interrupts a pretraining, kill or full disk, leaves a checkpoint from which it ends in the same encoder."""

from __future__ import annotations

import os
import signal as signals
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from ppgssl.core.errors import TrainingError
from ppgssl.selfsupervised.checkpoints import CHECKPOINT_FILE
from ppgssl.selfsupervised.pretraining_result import save_result
from ppgssl.stages.pretrain import pretrain
from tests.conftest import REPOSITORY, TinyStudy
from tests.selfsupervised.test_loop import TINY
from tests.selfsupervised.test_loop import run as train
from tests.stages.test_pretrain import CLI, write_study
from tests.support.command_line import CommandLine, Done, command_line, session_of, wait_for


@pytest.fixture(scope="module")
def with_torch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    with command_line(tmp_path_factory.mktemp("output"), with_torch=True) as commands:
        yield commands


@pytest.fixture(scope="module")
def pretrained(tiny_study: TinyStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the one encoder of the tiny study, which nobody interrupted."""
    folder = tmp_path_factory.mktemp("pretrained")
    pretrain(tiny_study.data(**ONE_ENCODER), folder, n_jobs=1)
    return folder / ENCODER


ONE_ENCODER: dict[str, Any] = {
    "arms": ["ssl-all"],
    "pretraining__exposure": "disjoint",
    "pretraining__objective": "masked-autoencoder",  # six patients hold out too few for pairs
}
ENCODER = Path("encoders") / "ssl-all" / "disjoint"


def assert_same_encoder(folder: Path, other: Path) -> None:
    ours, theirs = (load_file(place / "encoder.safetensors") for place in (folder, other))
    assert ours.keys() == theirs.keys()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert not list(folder.glob(".*"))
    assert not (folder / CHECKPOINT_FILE).exists()


def run_pretrain(commands: CommandLine, tiny_study: TinyStudy, folder: Path, **how: Any) -> Done:
    if not (folder / "study.yaml").is_file():
        write_study(tiny_study, folder, **ONE_ENCODER)
    return commands("pretrain", folder / "study.yaml", "--jobs", 1, "--json", **how)


def test_a_kill_while_a_checkpoint_is_saved_keeps_the_one_before(with_torch, tiny_study, pretrained, tmp_path):
    # It is saved before the first step, after 4 and after 8.
    kill_it = """
fsync, n_saved = os.fsync, 0
def killed_at_the_second(descriptor):
    global n_saved
    n_saved += 1
    if n_saved == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(descriptor)
os.fsync = killed_at_the_second
"""
    done = run_pretrain(with_torch, tiny_study, tmp_path, before=kill_it)
    assert done.code == -signals.SIGKILL
    folder = tmp_path / "run" / ENCODER
    assert [path.suffix for path in folder.glob(".*")] != []  # half a checkpoint
    assert torch.load(folder / CHECKPOINT_FILE, weights_only=True)["counters"]["step"] == 0
    assert run_pretrain(with_torch, tiny_study, tmp_path).summary["encoders"] == 1
    assert_same_encoder(folder, pretrained)


def test_no_room_for_a_checkpoint_is_reported_and_goes_on_later(with_torch, tiny_study, pretrained, tmp_path):
    done = run_pretrain(with_torch, tiny_study, tmp_path, most_bytes=20_000)
    assert done.code == 1
    assert "cannot write the checkpoint" in done.error
    assert "File too large" in done.error
    assert "run the same command again to go on" in done.error
    folder = tmp_path / "run" / ENCODER
    assert list(folder.iterdir()) == []
    assert run_pretrain(with_torch, tiny_study, tmp_path).summary["encoders"] == 1
    assert_same_encoder(folder, pretrained)


def test_on_a_disk_that_fills_up_the_last_checkpoint_stays_and_with_room_the_run_ends_the_same(small_disk, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "sized", settings=TINY, progress=interrupt)
    size_kb = (tmp_path / "sized" / CHECKPOINT_FILE).stat().st_size // 1000 + 1
    folder = small_disk(size_kb + size_kb // 2) / "run"  # one fits, and not the next one beside it
    for _ in range(2):
        with pytest.raises(TrainingError, match=r"cannot write the checkpoint .*No space left on device.*is kept"):
            train(folder, settings=TINY)
        assert [path.name for path in folder.iterdir()] == [CHECKPOINT_FILE]
        assert torch.load(folder / CHECKPOINT_FILE, weights_only=True)["counters"]["step"] == 0
    small_disk(20 * size_kb)
    resumed, whole = train(folder, settings=TINY), train(tmp_path / "whole", settings=TINY)
    assert resumed.history == whole.history
    assert_same_encoder(folder, tmp_path / "whole")


def test_on_a_disk_without_room_for_the_encoder_the_last_checkpoint_stays(small_disk, tmp_path):
    result = train(tmp_path / "whole", settings=TINY)
    folder = small_disk(12) / "run"
    folder.mkdir()
    (folder / CHECKPOINT_FILE).write_bytes(b"the last one")
    with pytest.raises(TrainingError, match=r"cannot write the encoder .*The checkpoint of the last step is kept"):
        save_result(folder, "made of", result)
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT_FILE]


def interrupt(_standing: object) -> None:
    raise KeyboardInterrupt


def start_two_devices(tiny_study: TinyStudy, folder: Path) -> tuple[subprocess.Popen[str], Path]:
    """A long pretraining in a session of its own, and its first checkpoint."""
    study = write_study(tiny_study, folder, **ONE_ENCODER, pretraining__n_steps=100_000)
    command = [*CLI, "pretrain", str(study), "--devices", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=REPOSITORY)
    checkpoint = folder / "run" / ENCODER / CHECKPOINT_FILE
    wait_for(checkpoint.is_file)
    return process, checkpoint


@pytest.mark.slow
def test_ctrl_c_reaches_all_processes_that_train_together_and_they_end_with_a_checkpoint(tiny_study, tmp_path):
    process, checkpoint = start_two_devices(tiny_study, tmp_path)
    assert len(session_of(process.pid)) >= 3
    os.killpg(process.pid, signals.SIGINT)  # as a terminal does
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "interrupted: what was finished is kept; run the same command again to go on" in stderr
    assert "Traceback" not in stderr
    assert torch.load(checkpoint, weights_only=True)["counters"]["step"] > 0
    wait_for(lambda: session_of(process.pid) == [])


@pytest.mark.slow
def test_processes_that_train_together_end_when_the_first_is_killed(tiny_study, tmp_path):
    process, _ = start_two_devices(tiny_study, tmp_path)
    process.kill()
    process.communicate(timeout=10)
    wait_for(lambda: session_of(process.pid) == [])
