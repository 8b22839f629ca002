"""Pretraining learns, resumes to the bit, and keeps what is good."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from ppgssl.core.config.pretraining import AutoencoderOptions, MaskedAutoencoderOptions, Pretraining, ResNet1dShape
from ppgssl.core.errors import StoreError, TrainingError
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.checkpoints import CHECKPOINT_FILE
from ppgssl.selfsupervised.distributed import ALONE
from ppgssl.selfsupervised.encoder_io import load_encoder
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.loop import pretrain
from tests.conftest import REPOSITORY
from tests.support.synthetic import make_ppg

LENGTH = 200
FS_HZ = 100.0
N_PATIENTS, N_EACH = 12, 6
TINY = Pretraining(
    objective="masked-autoencoder",
    n_steps=45,
    batch_size=16,
    evaluate_every=13,
    learning_rate=2e-3,
    encoder=ResNet1dShape(width=4, n_stages=2),
)


def make_bank(n_channels=1, seed=0):
    """Z-scored PPG of patients whose heart rates differ."""
    rng = np.random.default_rng(seed)
    rates = rng.uniform(55, 130, N_PATIENTS)
    pulses = [make_ppg(N_EACH * LENGTH / FS_HZ, FS_HZ, rate, noise=0.05, rng=rng) for rate in rates]
    samples = np.stack([np.concatenate(pulses)] * n_channels).astype(np.float32)
    starts = LENGTH * np.arange(N_PATIENTS * N_EACH)
    segments = samples[:, starts[:, None] + np.arange(LENGTH)]
    return SegmentBank(samples, starts, LENGTH, segments.mean(axis=-1).T, 1 / segments.std(axis=-1).T)


TRAIN, VALIDATION = np.arange(0, 60), np.arange(60, 72)


PATIENT = np.repeat(np.arange(N_PATIENTS), N_EACH)


def run(folder, *, bank=None, settings=TINY, seed=1, progress=None, team=ALONE):
    return pretrain(
        bank or make_bank(),
        TRAIN,
        VALIDATION,
        settings,
        fs_hz=FS_HZ,
        seed=seed,
        folder=folder,
        patients=PATIENT,
        recordings=PATIENT,
        progress=progress,
        team=team,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run, and its folder, to be read alone."""
    folder = tmp_path_factory.mktemp("whole")
    return run(folder), folder


def assert_same_run(one, other):
    assert one.history == other.history
    assert one.best == other.best
    for name, value in one.encoder.state_dict().items():
        assert torch.equal(value, other.encoder.state_dict()[name]), name
    assert (one.examples is None) == (other.examples is None)
    if one.examples is not None:
        np.testing.assert_array_equal(one.examples.reconstruction, other.examples.reconstruction)


# --- learning --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "objective",
    [MaskedAutoencoderOptions(name="masked-autoencoder", mask_ratio=0.4), AutoencoderOptions(name="autoencoder")],
    ids=lambda options: options.name,
)
def test_training_fills_in_better_than_zero_and_better_than_at_the_start(tmp_path, objective):
    settings = TINY.model_copy(
        update={"n_steps": 250, "evaluate_every": 50, "batch_size": 32, "learning_rate": 5e-3, "objective": objective}
    )
    result = run(tmp_path, settings=settings)
    losses = [row.validation_loss for row in result.history]
    assert [row.step for row in result.history] == [0, 50, 100, 150, 200, 250]
    assert losses[-1] < 0.6 * losses[0]
    assert min(losses) < 0.6  # segments have variance 1: predicting 0 costs 1
    assert result.best.score > 0.4
    assert not result.best.is_collapsed
    assert result.best.effective_rank > 2


def test_the_result_holds_the_best_weights_and_where_they_came_from(tmp_path):
    result = run(tmp_path, bank=make_bank(n_channels=2))
    best = min(result.history, key=lambda row: row.validation_loss)
    assert result.best == best
    assert result.score_name == "variance explained of hidden samples"
    assert result.history[0].train_loss is None
    assert result.n_parameters == sum(value.numel() for value in result.encoder.parameters())
    assert result.device == "CPU" or torch.cuda.is_available()
    assert result.seconds > 0
    loaded = load_encoder(tmp_path)
    for name, value in result.encoder.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])


def test_examples_show_what_was_hidden_of_held_out_segments(tmp_path):
    bank = make_bank(n_channels=2)
    examples = run(tmp_path, bank=bank).examples
    assert set(examples.index) <= set(VALIDATION)
    np.testing.assert_array_equal(examples.original, bank.gather(examples.index).numpy())
    assert examples.is_masked.shape == examples.original.shape
    assert examples.is_masked.mean() == 0.5
    assert examples.reconstruction.shape == examples.original.shape


def test_training_starts_from_the_weights_of_the_untrained_encoder(tmp_path):
    settings = TINY.model_copy(update={"n_steps": 1, "learning_rate": 1e-12, "weight_decay": 0.0})
    trained = run(tmp_path, settings=settings, seed=9).encoder.state_dict()
    for name, value in make_encoder(1, settings.shape, fs_hz=40.0, seed=9).state_dict().items():
        torch.testing.assert_close(trained[name], value, rtol=0, atol=1e-9)


def test_the_global_generator_neither_matters_nor_moves(tmp_path, whole):
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    other = run(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())
    assert_same_run(whole[0], other)


@pytest.mark.parametrize("objective", ["masked-autoencoder", "autoencoder", "transformation-recognition"])
def test_a_batch_in_parts_teaches_what_it_teaches_at_once(tmp_path, objective):
    settings = Pretraining.model_validate({**TINY.model_dump(), "objective": objective, "n_steps": 20})
    at_once = run(tmp_path / "at once", settings=settings)
    in_parts = run(tmp_path / "in parts", settings=settings.model_copy(update={"accumulate": 4}))
    for one, other in zip(at_once.history, in_parts.history, strict=True):
        assert other.train_loss == (one.train_loss and pytest.approx(one.train_loss, rel=1e-4))
        assert other.validation_loss == pytest.approx(one.validation_loss, rel=1e-4)
    for name, value in at_once.encoder.state_dict().items():
        torch.testing.assert_close(in_parts.encoder.state_dict()[name], value, rtol=1e-2, atol=2e-4)


def test_sixteen_bits_are_nearly_as_good_as_thirty_two(tmp_path, whole):
    exact = whole[0]
    rough = run(tmp_path, settings=TINY.model_copy(update={"precision": "bf16-mixed"}))
    assert rough.history != exact.history
    for one, other in zip(exact.history, rough.history, strict=True):
        assert other.validation_loss == pytest.approx(one.validation_loss, rel=0.03)
    assert (exact.hardware["precision"], rough.hardware["precision"]) == ("32-true", "bf16-mixed")


def test_a_collapse_is_reported_while_it_happens_and_afterwards(tmp_path):
    # Kernels that are drawn to 0 at each step leave nothing of a segment.
    settings = TINY.model_copy(update={"n_steps": 60, "evaluate_every": 20, "weight_decay": 400.0})
    warnings = []
    result = run(tmp_path, settings=settings, progress=lambda step: warnings.append(step.warning))
    assert not warnings[0]
    assert warnings[-1] == result.history[-2].warning != ""
    assert result.warnings
    assert result.warnings[-1].endswith(f"to 60: {result.history[-1].warning}")
    assert json.loads((tmp_path / "model.json").read_text())["card"]["warnings"] == list(result.warnings)
    assert run(tmp_path, settings=settings).warnings == result.warnings


def test_the_model_card_records_how_the_encoder_was_made(whole):
    result, folder = whole
    card = json.loads((folder / "model.json").read_text())["card"]
    assert Pretraining.model_validate(card["settings"]) == TINY
    assert (card["seed"], card["fs_hz"]) == (1, FS_HZ)
    assert card["hardware"]["cpu"]
    assert card["hardware"]["n_threads"] == 1
    assert card["hardware"]["peak_memory_mb"] > 10
    assert [row["step"] for row in card["history"]] == [row.step for row in result.history]
    assert card["energy"]["cpu_joules"] is not None or "not counted" in card["energy"]["note"]


# --- interruption and resumption -------------------------------------------------------------------------------


class InterruptAt:
    """Interrupts training when it reports one of these steps, each once."""

    def __init__(self, *steps, error=KeyboardInterrupt, n_steps=TINY.n_steps):
        self.steps, self.error, self.n_steps, self.seen = set(steps), error, n_steps, []

    def __call__(self, at):
        self.seen.append(at.step)
        assert at.n_steps == self.n_steps
        assert np.isfinite([at.train_loss, at.validation_loss]).all()
        assert at.seconds_left >= 0
        if at.step in self.steps:
            self.steps.remove(at.step)
            raise self.error


def run_until_done(folder, interrupt, settings=TINY):
    for _ in range(10):
        try:
            return run(folder, settings=settings, progress=interrupt)
        except interrupt.error:
            assert (folder / CHECKPOINT_FILE).is_file()
            assert not (folder / "model.json").exists()
    raise AssertionError("training never came to an end")


@pytest.mark.parametrize(
    ("steps", "error"),
    [((10,), ConnectionError), ((10, 20, 30, 40, 45), KeyboardInterrupt), ((20, 30, 45), ConnectionError)],
)
def test_an_interrupted_run_ends_with_the_same_bits_as_an_uninterrupted_one(tmp_path, whole, steps, error):
    resumed = run_until_done(tmp_path, InterruptAt(*steps, error=error))
    assert_same_run(whole[0], resumed)


@pytest.mark.parametrize("objective", ["contrastive-patient", "vicreg", "transformation-recognition"])
def test_pairs_and_accumulated_batches_resume_to_the_same_bits_too(tmp_path, objective):
    changes = {"objective": objective, "accumulate": 2, "n_steps": 25}
    settings = Pretraining.model_validate({**TINY.model_dump(), **changes})
    uninterrupted = run(tmp_path / "whole", settings=settings)
    assert_same_run(uninterrupted, run_until_done(tmp_path / "parts", InterruptAt(10, n_steps=25), settings))
    assert uninterrupted.examples is None
    assert uninterrupted.score_name


def test_running_statistics_resume_to_the_same_bits_too(tmp_path):
    encoder = {"name": "resnet50-1d", "width": 4, "n_features": 4}
    settings = Pretraining.model_validate({**TINY.model_dump(), "encoder": encoder, "n_steps": 15, "batch_size": 4})
    uninterrupted = run(tmp_path / "whole", settings=settings)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", settings=settings, progress=press_at_ten)
    assert_same_run(uninterrupted, run(tmp_path / "parts", settings=settings))


def press_at_ten(at):
    if at.step == 10:
        raise KeyboardInterrupt


def test_after_ctrl_c_no_step_is_done_twice(tmp_path):
    interrupt = InterruptAt(20, 40)
    run_until_done(tmp_path, interrupt)
    assert interrupt.seen == [10, 20, 30, 40, 45]


@pytest.mark.parametrize("step", [10, 45])
def test_a_real_ctrl_c_lets_the_step_end_and_saves(tmp_path, whole, step):
    def press(at):
        if at.step == step:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=press)
    later = InterruptAt()
    assert_same_run(whole[0], run(tmp_path, progress=later))
    assert all(seen > step for seen in later.seen)


def test_a_killed_run_ends_with_the_same_bits_as_an_uninterrupted_one(tmp_path, whole):
    script = f"""
        import os, sys, torch
        torch.set_num_threads(1)
        from pathlib import Path
        from tests.selfsupervised.test_loop import run
        def progress(at):
            if at.step == 30:
                print("dying", flush=True)
                os.kill(os.getpid(), {int(signal.SIGKILL)})
        run(Path(sys.argv[1]), progress=progress)
    """
    folder = tmp_path / "parts"
    died = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
    )
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert died.stdout == "dying\n"
    assert [path.name for path in folder.iterdir()] == [CHECKPOINT_FILE]
    assert_same_run(whole[0], run(folder))


def test_a_finished_run_is_read_and_not_trained_again(whole):
    first, folder = whole
    again = InterruptAt()
    second = run(folder, progress=again)
    assert again.seen == []
    assert_same_run(first, second)
    assert second.seconds == first.seconds
    assert sorted(path.name for path in folder.iterdir()) == [
        "encoder.safetensors",
        "examples.safetensors",
        "model.json",
    ]


def test_a_finished_run_whose_examples_were_changed_is_refused(tmp_path, whole):
    shutil.copytree(whole[1], tmp_path, dirs_exist_ok=True)
    (tmp_path / "examples.safetensors").write_bytes(b"other")
    with pytest.raises(StoreError, match=r"examples.safetensors is missing or not what was written"):
        run(tmp_path)


@pytest.mark.parametrize("change", ["settings", "seed", "bank"])
def test_a_checkpoint_of_another_run_is_not_gone_on_with(tmp_path, change):
    short = TINY.model_copy(update={"n_steps": 20})
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", settings=short, progress=press_at_ten)
    other = {
        "settings": {"settings": short.model_copy(update={"learning_rate": 1e-3})},
        "seed": {"seed": 2, "settings": short},
        "bank": {"bank": make_bank(seed=5), "settings": short},
    }[change]
    result = run(tmp_path / "parts", **other)
    assert "other settings, another seed or other data" in result.restart_reason
    assert_same_run(result, run(tmp_path / "whole", **other))


def test_a_finished_run_of_another_seed_is_replaced_and_the_reason_is_given(tmp_path, whole):
    short = TINY.model_copy(update={"n_steps": 13})
    shutil.copytree(whole[1], tmp_path / "parts")
    replaced = run(tmp_path / "parts", seed=2, settings=short)
    assert "is replaced" in replaced.restart_reason
    assert_same_run(replaced, run(tmp_path / "fresh", seed=2, settings=short))


# --- refusals --------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_stops_training_and_the_last_good_weights_stay(tmp_path):
    settings = TINY.model_copy(update={"learning_rate": 1e30, "warmup_fraction": 0.0})
    with pytest.raises(TrainingError, match=r"Lower `pretraining.learning_rate`.*last good weights are kept in"):
        run(tmp_path, settings=settings)
    state = torch.load(tmp_path / CHECKPOINT_FILE, weights_only=True)
    assert all(torch.isfinite(value).all() for value in state["objective"].values())
    assert not (tmp_path / "model.json").exists()


def test_a_segment_with_a_gap_is_named_before_training(tmp_path):
    bank = make_bank()
    bank.samples[0, 7 * LENGTH + 3] = torch.nan
    with pytest.raises(TrainingError, match="segment 7 of the bank has a sample that is not finite"):
        run(tmp_path, bank=bank)


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        ([0], [1, 2], "at least two segments to train on and two to evaluate by, and got 1 and 2"),
        ([0, 1], [], "got 2 and 0"),
        ([0, 1, 2], [2, 3], "split by patient before pretraining"),
        ([0, 1], [2, 72], r"segment numbers must lie in 0\.\.71"),
    ],
)
def test_segments_that_cannot_be_trained_on_are_refused(tmp_path, train, validation, message):
    with pytest.raises(TrainingError, match=message):
        pretrain(make_bank(), train, validation, TINY, fs_hz=FS_HZ, seed=0, folder=tmp_path)


def test_a_mask_that_would_hide_a_segment_whole_is_refused_before_training(tmp_path):
    objective = MaskedAutoencoderOptions(name="masked-autoencoder", mask_group_s=5.0)
    with pytest.raises(TrainingError, match=r"Lower `pretraining.objective.mask_group_s`"):
        run(tmp_path, settings=TINY.model_copy(update={"objective": objective}))
