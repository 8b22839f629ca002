"""Self-supervised pretraining: the loop, in three levels (run, pass over the steps, step)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ppgssl.errors import TrainingError
from ppgssl.pretraining_options import Pretraining
from ppgssl.records import IntArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.checkpoints import load_checkpoint, remove_checkpoints, run_fingerprint, save_checkpoint
from ppgssl.selfsupervised.devices import device_name, make_fabric, quiet
from ppgssl.selfsupervised.encoder_io import MODEL_FILE
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.encoders.base import n_parameters
from ppgssl.selfsupervised.interrupts import postponed_interrupt
from ppgssl.selfsupervised.objectives import make_objective
from ppgssl.selfsupervised.objectives.base import Objective
from ppgssl.selfsupervised.optimisation import learning_rate, make_optimizer, set_learning_rate
from ppgssl.selfsupervised.pretraining_result import (
    HistoryRow,
    PretrainingResult,
    finished,
    load_result,
    make_examples,
    save_result,
)
from ppgssl.selfsupervised.sampling import EpochSampler
from ppgssl.selfsupervised.validation import judge

# Called with steps done, steps to do, mean training loss since the last evaluation, last validation loss, seconds left.
Progress = Callable[[int, int, float, float, float], None]

# Asking a GPU for the loss at every step would make it wait for the answer.
_LOG_EVERY = 10
_MAX_GRADIENT_NORM = 1.0
_CHECK_AT_ONCE = 4096


def pretrain(
    bank: SegmentBank,
    train_index: ArrayLike,
    validation_index: ArrayLike,
    settings: Pretraining,
    *,
    fs_hz: float,
    seed: int,
    folder: Path,
    progress: Progress | None = None,
) -> PretrainingResult:
    """Pretrain an encoder, or go on where an interrupted run of the same data, settings and seed stopped.

    On a CPU with the same number of threads, an interrupted and resumed run ends with the same bits as an uninterrupted
    one. The first weights are those of ``make_encoder(n_channels, settings.encoder, seed=seed)``. A folder whose run is
    finished is read, not trained again; one that belongs to other settings, another seed or other data is replaced,
    and ``restart_reason`` says so.

    Parameters
    ----------
    bank : SegmentBank
    train_index, validation_index : int arrays
        Numbers of segments in the bank. Validation segments should be of other patients than training segments.
    settings : config.Pretraining
    fs_hz : float
        Sampling rate of the segments.
    seed : int
        Decides first weights, order of segments and masks.
    folder : Path
        Where checkpoint, encoder (:mod:`~ppgssl.selfsupervised.encoder_io`), history and examples are kept.
    progress : callable or None
        Called every ten steps.

    Raises
    ------
    TrainingError
        If segments cannot be trained on (too few, shared, not finite), or a loss is not finite: the checkpoint of the
        last good weights then stays in the folder.
    KeyboardInterrupt
        At Ctrl-C, once the step in progress is done and the state is saved.
    StoreError
        If the folder's finished run was damaged.
    """
    train, validation = _checked_index(bank, train_index, validation_index)
    made_of = run_fingerprint(bank, train, validation, settings, fs_hz=fs_hz, seed=seed)
    if finished(folder, made_of):
        remove_checkpoints(folder)
        return load_result(folder)
    folder.mkdir(parents=True, exist_ok=True)
    state, reason = load_checkpoint(folder, made_of)
    if (folder / MODEL_FILE).is_file():
        reason = f"the encoder in {folder} was made from other settings, another seed or other data, and is replaced"
        (folder / MODEL_FILE).unlink()
    run = _Run(bank, train, validation, settings, fs_hz=fs_hz, seed=seed, folder=folder, made_of=made_of)
    if state is not None:
        run.load_state_dict(state)
    run.fit(progress)
    result = run.result(reason)
    save_result(folder, made_of, result)
    remove_checkpoints(folder)
    return result


@dataclass
class _Counters:
    """All of a run's state that is neither a tensor of the network nor a generator."""

    step: int = 0
    loss_sum: float = 0.0
    n_losses: int = 0
    best_step: int = 0
    seconds: float = 0.0
    history: list[HistoryRow] = field(default_factory=list)


class _Run:
    """One run: everything that changes from step to step, and the loop that changes it."""

    def __init__(
        self,
        bank: SegmentBank,
        train: IntArray,
        validation: IntArray,
        settings: Pretraining,
        *,
        fs_hz: float,
        seed: int,
        folder: Path,
        made_of: str,
    ) -> None:
        self.settings, self.folder, self.made_of, self.seed = settings, folder, made_of, seed
        self.fabric = make_fabric()
        self.bank = bank.to(self.fabric.device)
        self.validation = torch.from_numpy(validation)
        self.objective = _seeded_objective(bank.n_channels, settings, fs_hz=fs_hz, seed=seed)
        self.objective.draw(1, bank.length, torch.Generator())  # refuses masks that do not fit, before any work
        with quiet():
            self.module, self.optimizer = self.fabric.setup(self.objective, make_optimizer(self.objective, settings))
            self.module.mark_forward_method("loss")
        self.sampler = EpochSampler(torch.from_numpy(train), settings.batch_size, seed=seed)
        self.generator = torch.Generator(self.bank.device).manual_seed(seed + 1)
        self.counters = _Counters()
        self.best = self._weights()
        self.recent: list[Tensor] = []  # losses of the last few steps, still on the device

    # --- the loop ----------------------------------------------------------------------------------------------

    def fit(self, progress: Progress | None) -> None:
        """Evaluate, save, stop?, step, log; the last pass judges the last weights."""
        self._start_clock()
        with postponed_interrupt() as is_interrupted:
            while True:
                if self._is_evaluation_due():
                    self._evaluate()
                    self._save()
                if self.counters.step == self.settings.n_steps:
                    break
                self._step()
                if self._is_log_due():
                    self._log(progress)
                if is_interrupted():
                    self._save()
                    raise KeyboardInterrupt
            if is_interrupted():  # while the last weights were judged and saved
                raise KeyboardInterrupt

    def _step(self) -> None:
        counters = self.counters
        set_learning_rate(self.optimizer, learning_rate(counters.step, self.settings))
        index = self.sampler.draw()
        draws = self.objective.draw(len(index), self.bank.length, self.generator)
        loss = self.module.loss(self.bank.gather(index), draws)
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        self.fabric.clip_gradients(self.module, self.optimizer, max_norm=_MAX_GRADIENT_NORM, error_if_nonfinite=False)
        self.optimizer.step()
        self.recent.append(loss.detach())
        counters.step += 1

    def _is_evaluation_due(self) -> bool:
        step, history = self.counters.step, self.counters.history
        is_due = step % self.settings.evaluate_every == 0 or step == self.settings.n_steps
        return is_due and not (history and history[-1].step == step)

    def _evaluate(self) -> None:
        self._collect_losses()
        counters = self.counters
        judgement = judge(self.objective, self.bank, self.validation, batch_size=self.settings.batch_size)
        self._check_finite(judgement.loss)
        lowest = min((row.validation_loss for row in counters.history), default=math.inf)
        counters.history.append(
            HistoryRow(
                step=counters.step,
                train_loss=counters.loss_sum / counters.n_losses if counters.n_losses else None,
                validation_loss=judgement.loss,
                score=judgement.score,
                effective_rank=judgement.health.effective_rank,
                dead_fraction=judgement.health.dead_fraction,
                is_collapsed=judgement.health.is_collapsed,
            )
        )
        counters.loss_sum, counters.n_losses = 0.0, 0
        if judgement.loss < lowest:
            counters.best_step, self.best = counters.step, self._weights()

    def _is_log_due(self) -> bool:
        return self.counters.step % _LOG_EVERY == 0 or self.counters.step == self.settings.n_steps

    def _log(self, progress: Progress | None) -> None:
        self._collect_losses()
        if progress is None:
            return
        counters = self.counters
        train_loss, validation_loss = counters.loss_sum / counters.n_losses, counters.history[-1].validation_loss
        try:
            progress(counters.step, self.settings.n_steps, train_loss, validation_loss, self._seconds_left())
        except KeyboardInterrupt:
            self._save()
            raise

    def _collect_losses(self) -> None:
        """Fetch the losses of the last steps from the device, and refuse to go on if one is not finite."""
        for loss in self.recent:
            self._check_finite(float(loss))
            self.counters.loss_sum += float(loss)
            self.counters.n_losses += 1
        self.recent.clear()

    def _check_finite(self, value: float, name: str = "the loss") -> None:
        if math.isfinite(value):
            return
        raise TrainingError(
            f"pretraining stopped at step {self.counters.step}: {name} is {value} at a learning rate of "
            f"{self.settings.learning_rate:g}. Lower `pretraining.learning_rate`, raise `pretraining.warmup_fraction`, "
            f"or look for segments of extreme amplitude. The last good weights are kept in {self.folder}."
        )

    # --- clock -------------------------------------------------------------------------------------------------

    def _start_clock(self) -> None:
        self._started, self._seconds_before = time.perf_counter(), self.counters.seconds
        self._steps_before = self.counters.step

    def _seconds_left(self) -> float:
        elapsed = time.perf_counter() - self._started
        per_step = elapsed / max(1, self.counters.step - self._steps_before)
        return per_step * (self.settings.n_steps - self.counters.step)

    # --- state -------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Write the checkpoint, unless loss or weights are past saving: then the last good one stays."""
        self._collect_losses()
        size = torch.stack([parameter.detach().abs().sum() for parameter in self.objective.parameters()]).sum()
        self._check_finite(float(size), "the sum of the weights")
        self.counters.seconds = self._seconds_before + time.perf_counter() - self._started
        save_checkpoint(self.folder, self.made_of, self.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Everything that the rest of the run depends on."""
        return {
            "counters": asdict(self.counters),
            "objective": self.objective.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "sampler": self.sampler.state_dict(),
            "generator": self.generator.get_state(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        history = [HistoryRow(**row) for row in state["counters"]["history"]]
        self.counters = _Counters(**{**state["counters"], "history": history})
        self.objective.load_state_dict(state["objective"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = state["best"]
        self.sampler.load_state_dict(state["sampler"])
        self.generator.set_state(state["generator"])

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach().cpu().clone() for name, value in self.objective.state_dict().items()}

    def result(self, restart_reason: str | None) -> PretrainingResult:
        """The finished run, with its best weights."""
        self.objective.load_state_dict(self.best)
        examples = make_examples(self.objective, self.bank, self.validation, seed=self.seed)
        best = next(row for row in self.counters.history if row.step == self.counters.best_step)
        return PretrainingResult(
            encoder=self.objective.encoder.cpu().eval(),
            history=tuple(self.counters.history),
            examples=examples,
            best_step=best.step,
            score_name=self.objective.score_name,
            score=best.score,
            effective_rank=best.effective_rank,
            is_collapsed=best.is_collapsed,
            seconds=self.counters.seconds,
            device=device_name(self.fabric.device),
            n_parameters=n_parameters(self.objective.encoder),
            restart_reason=restart_reason,
        )


def _seeded_objective(n_channels: int, settings: Pretraining, *, fs_hz: float, seed: int) -> Objective:
    encoder = make_encoder(n_channels, settings.encoder, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)  # not the numbers that the encoder was made of
        return make_objective(encoder, settings, fs_hz=fs_hz)


def _checked_index(bank: SegmentBank, train_index: ArrayLike, validation_index: ArrayLike) -> tuple[IntArray, IntArray]:
    train, validation = (np.array(index, dtype=np.int64).ravel() for index in (train_index, validation_index))
    if len(train) < 2 or len(validation) < 2:
        raise TrainingError(
            f"pretraining needs at least two segments to train on and two to judge by, and got {len(train)} and "
            f"{len(validation)}. Lower `inputs.min_sqi`, or add recordings."
        )
    if len(np.intersect1d(train, validation)):
        raise TrainingError("some segments are both to train on and to judge by: split by patient before pretraining")
    together = np.concatenate([train, validation])
    if together.min() < 0 or together.max() >= len(bank):
        raise TrainingError(
            f"segment numbers must lie in 0..{len(bank) - 1}, and reach {together.min()}..{together.max()}"
        )
    _check_samples(bank, together)
    return train, validation


def _check_samples(bank: SegmentBank, index: IntArray) -> None:
    for part in torch.from_numpy(index).split(_CHECK_AT_ONCE):
        is_finite = torch.isfinite(bank.gather(part)).all(dim=-1).all(dim=-1)
        if not bool(is_finite.all()):
            worst = int(part[~is_finite.cpu()][0])
            raise TrainingError(
                f"segment {worst} of the bank has a sample that is not finite, so no network can be trained on it. "
                "Accept only segments without gaps, and check the normalisation."
            )
