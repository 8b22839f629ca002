"""Self-supervised pretraining: the loop, in three levels (run, pass over the steps, step)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from numpy.typing import ArrayLike
from torch import Tensor

from ppgssl.core.config.pretraining import Pretraining
from ppgssl.core.errors import TrainingError
from ppgssl.core.interrupts import postponed_interrupt
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.checkpoints import run_fingerprint, save_checkpoint, state_to_go_on_from
from ppgssl.selfsupervised.compilation import TrainingLoss
from ppgssl.selfsupervised.devices import (
    Precision,
    choose_precision,
    describe_hardware,
    device_name,
    make_fabric,
    quiet,
)
from ppgssl.selfsupervised.distributed import ALONE, Team, any_of, first_does, mean_over, part_of
from ppgssl.selfsupervised.encoders import ENCODERS, make_encoder
from ppgssl.selfsupervised.encoders.base import n_parameters
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
from ppgssl.selfsupervised.resource_use import Energy, ResourceUse, Session, StepProgress
from ppgssl.selfsupervised.training_data import TrainingData, checked_data
from ppgssl.selfsupervised.validation import MAX_SEGMENTS, evaluate, spread_out

# Asking a GPU for the loss at every step would make it wait for the answer; so would asking other processes.
_LOG_EVERY = 10
_MAX_GRADIENT_NORM = 1.0


def pretrain(
    bank: SegmentBank,
    train_index: ArrayLike,
    validation_index: ArrayLike,
    settings: Pretraining,
    *,
    fs_hz: float,
    seed: int,
    folder: Path,
    patients: ArrayLike | None = None,
    recordings: ArrayLike | None = None,
    progress: Callable[[StepProgress], None] | None = None,
    team: Team = ALONE,
) -> PretrainingResult:
    """Pretrain an encoder, or go on where an interrupted run of the same data, settings and seed stopped.

    On a CPU with the same number of threads, an interrupted and resumed run ends with the same bits as an uninterrupted
    one. The first weights are those of ``make_encoder(n_channels, settings.shape, fs_hz=fs_hz, seed=seed)``. A folder
    whose run is finished is read, not trained again; one that belongs to other settings, another seed or other data is
    replaced, and ``restart_reason`` gives the reason.

    Parameters
    ----------
    bank, train_index, validation_index, settings
        Numbers of segments in the bank; validation segments should be of other patients than training segments.
    fs_hz, seed
        Sampling rate of the segments; what decides first weights, order of segments and masks.
    folder : Path
        Where checkpoint, encoder (:mod:`~ppgssl.selfsupervised.encoder_io`), history and examples are kept.
    patients, recordings : int arrays, shape (len(bank),), or None
        Codes of the patient and the recording of each segment: needed by objectives that learn from pairs.
    progress : callable or None
        Called every ten steps.
    team : Team
        Processes that train this network together, each of which calls this function with the same arguments. The batch
        is shared among them, and the outcome is that of one process but for rounding. The first one alone writes files
        and calls ``progress``; all get the result.

    Raises
    ------
    TrainingError
        If segments cannot be trained on (too few, shared, not finite), a loss is not finite, or the checkpoint cannot
        be written: the checkpoint of the last good weights then stays in the folder.
    ConfigError, StoreError
        If the processes cannot share a batch equally; if the folder's finished run was damaged.
    KeyboardInterrupt
        At Ctrl-C, once the step in progress is done and the state is saved.
    """
    team.check(settings.batch_size, settings.accumulate)
    data = checked_data(bank, train_index, validation_index, patients, recordings)
    made_of = run_fingerprint(data.digest(settings), settings, fs_hz=fs_hz, seed=seed)
    pays_on_cpu = ENCODERS[settings.encoder.name].bf16_pays_on_cpu
    precision = choose_precision(settings.precision, is_cuda=torch.cuda.is_available(), pays_on_cpu=pays_on_cpu)
    fabric = make_fabric(precision, team)
    _check_alike(fabric, made_of)
    if first_does(fabric, lambda: finished(folder, made_of)):
        return first_does(fabric, lambda: load_result(folder))
    state, reason = first_does(fabric, lambda: state_to_go_on_from(folder, made_of))
    run = _Run(data, settings, fabric, team, precision, fs_hz=fs_hz, seed=seed, folder=folder, made_of=made_of)
    if state is not None:
        run.load_state_dict(state)
    run.fit(progress)
    result = run.result(reason)
    record = {"settings": settings.model_dump(mode="json"), "seed": seed, "fs_hz": fs_hz}
    first_does(fabric, lambda: save_result(folder, made_of, result, record))
    return result


def _check_alike(fabric: Fabric, made_of: str) -> None:
    if any_of(fabric, first_does(fabric, lambda: made_of) != made_of):
        raise TrainingError(
            "the processes that should train one network were given different data, settings or seeds: all nodes must "
            "see the same stores and the same study.yaml"
        )


@dataclass
class _Counters:
    """All of a run's state that is neither a tensor of the network nor a generator."""

    step: int = 0
    loss_sum: float = 0.0
    n_losses: int = 0
    resource_use: ResourceUse = field(default_factory=ResourceUse)
    history: list[HistoryRow] = field(default_factory=list)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> _Counters:
        used = values["resource_use"]
        history = [HistoryRow(**row) for row in values["history"]]
        return cls(
            **values | {"resource_use": ResourceUse(used["seconds"], Energy(**used["energy"])), "history": history}
        )


class _Run:
    """One run: everything that changes from step to step, and the loop that changes it."""

    def __init__(
        self,
        data: TrainingData,
        settings: Pretraining,
        fabric: Fabric,
        team: Team,
        precision: Precision,
        *,
        fs_hz: float,
        seed: int,
        folder: Path,
        made_of: str,
    ) -> None:
        self.settings, self.folder, self.made_of, self.seed = settings, folder, made_of, seed
        self.fabric, self.team, self.precision = fabric, team, precision
        self.n_steps = settings.steps(len(data.train))
        self.bank = data.bank.to(fabric.device)
        self.objective = _seeded_objective(self.bank.n_channels, settings, fs_hz=fs_hz, seed=seed)
        self.objective.draw(1, self.bank.length, torch.Generator())  # refuses masks that do not fit, before any work
        self.objective.prepare(self.bank.gather(spread_out(torch.from_numpy(data.train), MAX_SEGMENTS)))
        self.held_out = spread_out(data.held_out(settings), MAX_SEGMENTS)
        self.sampler = data.sampler(settings, seed=seed)
        self.generator = torch.Generator(self.bank.device).manual_seed(seed + 1)
        loss = TrainingLoss(self.objective.to(fabric.device))
        self.note = self._compile(loss) if settings.compile else ""
        with quiet():
            self.module, self.optimizer = fabric.setup(loss, make_optimizer(self.objective, settings))
        self.counters = _Counters()
        self.best = self._weights()
        self.recent: list[Tensor] = []  # losses of the last few steps, still on the device

    def _compile(self, loss: TrainingLoss) -> str:
        """Compile for the size of batch that this process will see."""
        n = self.settings.batch_size // (self.fabric.world_size * self.settings.accumulate)
        index = self.held_out[torch.arange(n) % len(self.held_out)]
        draws = self.objective.draw(n, self.bank.length, torch.Generator(self.bank.device).manual_seed(0))
        with self.fabric.autocast():
            return loss.compile_or_explain(self.bank.gather(index), draws)

    # --- the loop ----------------------------------------------------------------------------------------------

    def fit(self, progress: Callable[[StepProgress], None] | None) -> None:
        """Evaluate, save, step, log, stop?; the last pass evaluates the last weights."""
        gpus = [self.fabric.device] if self.fabric.device.type == "cuda" else []
        self.session = Session(self.counters.resource_use, self.counters.step, gpus)
        with postponed_interrupt() as is_interrupted:
            while True:
                if self._is_evaluation_due():
                    self._evaluate()
                    self._save()
                if self.counters.step == self.n_steps:
                    break
                self._step()
                if self._is_log_due():
                    self._log(progress)
                if self._must_stop(is_interrupted):
                    self._save()
                    raise KeyboardInterrupt
            if self._must_stop(is_interrupted):  # while the last weights were evaluated and saved
                raise KeyboardInterrupt

    def _step(self) -> None:
        counters = self.counters
        set_learning_rate(self.optimizer, learning_rate(counters.step, self.n_steps, self.settings))
        index = self.sampler.draw()
        draws = self.objective.draw(len(index), self.bank.length, self.generator)
        self.optimizer.zero_grad(set_to_none=True)
        losses = [self._backward(index, draws, number) for number in range(self.settings.accumulate)]
        self.fabric.clip_gradients(self.module, self.optimizer, max_norm=_MAX_GRADIENT_NORM, error_if_nonfinite=False)
        self.optimizer.step()
        self.recent.append(torch.stack(losses).sum())
        counters.step += 1

    def _backward(self, index: Tensor, draws: dict[str, Tensor], number: int) -> Tensor:
        """Add the gradient of one of the parts in which the batch goes through this process; its part of the loss."""
        n_parts = self.settings.accumulate
        place, n_places = self.fabric.global_rank * n_parts + number, self.fabric.world_size * n_parts
        own_draws = {name: part_of(values, place, n_places) for name, values in draws.items()}
        is_last = number == n_parts - 1
        with self.fabric.no_backward_sync(self.module, enabled=not is_last):
            loss = self.module(self.bank.gather(part_of(index, place, n_places)), own_draws) / n_parts
            self.fabric.backward(loss)
        return loss.detach()

    def _must_stop(self, is_interrupted: Callable[[], bool]) -> bool:
        if self.fabric.world_size == 1:
            return is_interrupted() or self.team.is_stopped()
        return self._is_log_due() and any_of(self.fabric, is_interrupted() or self.team.is_stopped())

    def _is_evaluation_due(self) -> bool:
        step, history = self.counters.step, self.counters.history
        is_due = step % self.settings.evaluate_every == 0 or step == self.n_steps
        return is_due and not (history and history[-1].step == step)

    def _evaluate(self) -> None:
        self._collect_losses()
        counters, batch_size = self.counters, self.settings.batch_size
        found = first_does(
            self.fabric, lambda: evaluate(self.objective, self.bank, self.held_out, batch_size=batch_size)
        )
        self._check_finite(found.loss)
        lowest = min((row.validation_loss for row in counters.history), default=math.inf)
        train_loss = counters.loss_sum / counters.n_losses if counters.n_losses else None
        counters.history.append(HistoryRow.of(counters.step, train_loss, found))
        counters.loss_sum, counters.n_losses = 0.0, 0
        if found.loss < lowest:
            self.best = self._weights()

    def _is_log_due(self) -> bool:
        return self.counters.step % _LOG_EVERY == 0 or self.counters.step == self.n_steps

    def _log(self, progress: Callable[[StepProgress], None] | None) -> None:
        self._collect_losses()
        self.session.update()
        try:
            first_does(self.fabric, lambda: progress(self._progress()) if progress else None)
        except KeyboardInterrupt:
            self._save()
            raise

    def _progress(self) -> StepProgress:
        counters = self.counters
        last = counters.history[-1]
        return StepProgress(
            step=counters.step,
            n_steps=self.n_steps,
            train_loss=counters.loss_sum / counters.n_losses,
            validation_loss=last.validation_loss,
            seconds_left=self.session.seconds_left(counters.step, self.n_steps),
            warning=last.warning if last.step else "",
        )

    def _collect_losses(self) -> None:
        """Fetch the losses of the last steps from the device, and refuse to go on if one is not finite."""
        if not self.recent:
            return
        for loss in mean_over(self.fabric, torch.stack(self.recent)).tolist():
            self._check_finite(loss)
            self.counters.loss_sum += loss
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

    # --- state -------------------------------------------------------------------------------------------------

    def _save(self) -> None:
        """Write the checkpoint, unless loss or weights are past saving: then the last good one stays."""
        self._collect_losses()
        size = torch.stack([parameter.detach().abs().sum() for parameter in self.objective.parameters()]).sum()
        self._check_finite(float(size), "the sum of the weights")
        self.counters.resource_use = self.session.resource_use()
        first_does(self.fabric, lambda: save_checkpoint(self.folder, self.made_of, self.state_dict()))

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
        self.counters = _Counters.from_dict(state["counters"])
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
        examples = make_examples(self.objective, self.bank, self.held_out, seed=self.seed)
        device = self.fabric.device
        return PretrainingResult(
            encoder=self.objective.encoder.cpu().eval(),
            history=tuple(self.counters.history),
            examples=examples,
            score_name=self.objective.score_name,
            seconds=self.counters.resource_use.seconds,
            energy=self.counters.resource_use.energy,
            device=device_name(device),
            hardware=describe_hardware(device, self.precision, self.team),
            n_parameters=n_parameters(self.objective.encoder),
            restart_reason=restart_reason,
            note=self.note,
        )


def _seeded_objective(n_channels: int, settings: Pretraining, *, fs_hz: float, seed: int) -> Objective:
    encoder = make_encoder(n_channels, settings.shape, fs_hz=fs_hz, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed + 1)  # not the numbers that the encoder was made of
        return make_objective(encoder, settings, fs_hz=fs_hz)
