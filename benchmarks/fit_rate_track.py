"""Fit the network of ``ppgssl/signals/rate_track.py`` and write its numbers.

    python benchmarks/fit_rate_track.py [--out FILE] [--folds K]

Fitted to the running people of spc2015 (each with both channels and with one, and played faster and slower), to
arrhythmias, and to clean recordings with movement added, of mw_ppg, of arrhythmia_pool and of the simulator. The score
of a whole recording is the logarithm of the posterior probability that each window's rate is right within 5 per minute,
so the network is fitted through the hidden Markov model in which it is used. With ``--folds``, nothing is written:
people are left out, and what the model gives for them is printed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from references import (
    FS_HZ,
    Reference,
    arrhythmias,
    clean_fingers,
    disturbed,
    simulated_children,
    spc2015,
    window_starts,
)

from ppgssl.core.records import FloatArray
from ppgssl.signals.beat_times import ppg_beats
from ppgssl.signals.rate_track import RATES_BPM, TOLERANCE_BPM, WINDOW_S, Network, rate_evidence, track_of, transitions
from ppgssl.signals.resampling import resample

OUT = Path("ppgssl/signals/fitted/rate_track.json")
N_HIDDEN = 10
N_STEPS = 800
N_DISTURBED = 150
N_ARRHYTHMIAS = 250
SPEEDS = (0.75, 1.0, 1.3)


@dataclass(frozen=True)
class Example:
    """Evidence of a recording, shape (n_windows, n_rates, n_evidence), and its true rates (NaN: not known)."""

    reference: Reference
    evidence: FloatArray
    rates: FloatArray

    @property
    def person(self) -> str:
        return self.reference.person


def examples(reference: Reference, *, with_acceleration: bool) -> Example:
    channels = list(reference.channels.values())
    evidence = rate_evidence(
        channels,
        [ppg_beats(samples, fs_hz=FS_HZ) for samples in channels],
        fs_hz=FS_HZ,
        acceleration=reference.acceleration if with_acceleration else (),
    )
    starts = window_starts(reference.duration_s)[: len(evidence)]
    return Example(reference, evidence.astype(np.float32), reference.rates(starts, WINDOW_S))


def variants(reference: Reference) -> list[Reference]:
    """Of a measured recording: with all of its channels and with one; slower and faster."""
    names = list(reference.channels)
    chosen = [names, *([name] for name in names)]
    return [
        played(replace(reference, channels={name: reference.channels[name] for name in some}), speed)
        for some in chosen
        for speed in SPEEDS
    ]


def played(reference: Reference, speed: float) -> Reference:
    if speed == 1:
        return reference

    def faster(samples: FloatArray) -> FloatArray:
        return resample(np.nan_to_num(samples), fs_in_hz=FS_HZ * speed, fs_out_hz=FS_HZ)

    return replace(
        reference,
        channels={name: faster(samples) for name, samples in reference.channels.items()},
        acceleration=[faster(samples) for samples in reference.acceleration],
        beats_s=reference.beats_s / speed,
    )


def corpus() -> list[Reference]:
    rng = np.random.default_rng(3)
    measured = [variant for reference in spc2015() for variant in variants(reference)]
    clean = [*clean_fingers(), *simulated_children(N_DISTURBED - 60)]
    irregular = list(arrhythmias(N_ARRHYTHMIAS))
    return [
        *measured,
        *(disturbed(one, rng, n_channels=1 + number % 2) for number, one in enumerate(clean)),
        *irregular,
        *(disturbed(one, rng, n_channels=1) for one in irregular),
    ]


def fit(held: Sequence[Example], seed: int = 0) -> Network:
    """Adam over whole recordings, in batches of alike length."""
    torch.manual_seed(seed)
    stacked = np.concatenate([one.evidence.reshape(-1, one.evidence.shape[-1])[::7] for one in held])
    mean, sd = stacked.mean(axis=0), stacked.std(axis=0) + 1e-6
    layers = torch.nn.Sequential(torch.nn.Linear(len(mean), N_HIDDEN), torch.nn.Tanh(), torch.nn.Linear(N_HIDDEN, 1))
    optimiser = torch.optim.Adam(layers.parameters(), lr=2e-2, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=2e-2, total_steps=N_STEPS)
    batches = _batches(held, mean, sd)
    generator = np.random.default_rng(seed)
    for _ in range(N_STEPS):
        x, mask, rates = batches[generator.integers(len(batches))]
        loss = _loss(layers(x)[..., 0], mask, rates)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    first, last = layers[0], layers[2]
    weights = first.weight.detach().numpy().T.astype(np.float64) / sd[:, None]
    bias = first.bias.detach().numpy() - mean @ weights
    return Network(np.vstack([weights, bias]), last.weight.detach().numpy()[0].astype(np.float64))


def _batches(
    held: Sequence[Example], mean: FloatArray, sd: FloatArray, size: int = 24
) -> list[tuple[torch.Tensor, ...]]:
    order = np.argsort([len(one.rates) for one in held], kind="stable")
    batches = []
    for at in range(0, len(order), size):
        some = [held[number] for number in order[at : at + size]]
        longest = max(len(one.rates) for one in some)
        x = np.zeros((len(some), longest, *some[0].evidence.shape[1:]), np.float32)
        mask, rates = np.zeros((len(some), longest), np.float32), np.full((len(some), longest), np.nan, np.float32)
        for row, one in enumerate(some):
            n = len(one.rates)
            x[row, :n], mask[row, :n], rates[row, :n] = (one.evidence - mean) / sd, 1, one.rates
        batches.append((torch.tensor(x), torch.tensor(mask), torch.tensor(rates)))
    return batches


def _loss(scores: torch.Tensor, mask: torch.Tensor, rates: torch.Tensor) -> torch.Tensor:
    grid = torch.tensor(RATES_BPM, dtype=torch.float32)
    known = torch.isfinite(rates) & (rates >= 30) & (rates <= 240)
    true = torch.where(known, rates, 100.0)
    target = torch.softmax(-0.5 * ((grid.log() - true[..., None].log()) / 0.02) ** 2, dim=-1)
    single = -(target * torch.log_softmax(scores, dim=-1)).sum(dim=-1)
    near = ((grid - true[..., None]).abs() <= TOLERANCE_BPM).float()
    whole = -torch.log((_posterior(scores, mask) * near).sum(dim=-1).clamp(min=1e-4))
    return ((0.3 * single + whole) * known).sum() / known.sum()


def _posterior(scores: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """:func:`ppgssl.signals.hidden_markov.smoothed` of a batch, through which gradients pass."""
    transition = torch.tensor(transitions(), dtype=torch.float32)
    likelihood = torch.exp(scores - scores.max(dim=-1, keepdim=True).values)
    likelihood = likelihood * mask[..., None] + (1 - mask[..., None])
    forward, state = [], torch.full_like(likelihood[:, 0], 1 / likelihood.shape[-1])
    for number in range(likelihood.shape[1]):
        state = (state @ transition) * likelihood[:, number]
        state = state / state.sum(dim=-1, keepdim=True)
        forward.append(state)
    backward = [torch.ones_like(state)]
    for number in range(likelihood.shape[1] - 1, 0, -1):
        state = (backward[0] * likelihood[:, number]) @ transition.T
        backward.insert(0, state / state.sum(dim=-1, keepdim=True))
    joint = torch.stack(forward, dim=1) * torch.stack(backward, dim=1)
    return joint / joint.sum(dim=-1, keepdim=True)


def left_out(held: Sequence[Example], n_folds: int) -> None:
    people = list(dict.fromkeys(one.person for one in held))
    np.random.default_rng(0).shuffle(people)
    rows: dict[str, list[np.ndarray]] = {}
    for fold in range(n_folds):
        test = set(people[fold::n_folds])
        model = fit([one for one in held if one.person not in test])
        for one in held:
            if one.person in test:
                track, known = track_of(one.evidence.astype(np.float64), model), np.isfinite(one.rates)
                error = np.abs(track.heart_rate_bpm - one.rates)
                rows.setdefault(_kind(one), []).append(np.stack([error, track.probability])[:, known])
    for kind, found in rows.items():
        error, probability = np.concatenate(found, axis=1)
        sure = probability >= 0.5
        print(
            f"{kind:24s} windows {len(error):6d}  within 5: {np.mean(error <= 5):.3f}  mean error {error.mean():6.2f}  "
            f"probability >= 0.5: {sure.mean():.3f}, of these within 5: {np.mean(error[sure] <= 5):.3f}"
        )


def _kind(one: Example) -> str:
    source = one.reference.name.split(" ")[0].split("_")[0]
    return f"{source} x{one.reference.duration_s:.0f}"[:0] + f"{source}, {len(one.reference.channels)} channels"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--folds", type=int)
    options = parser.parse_args()
    references = corpus()
    numbers = {}
    for name, with_acceleration in (("without_acceleration", False), ("with_acceleration", True)):
        held = [examples(one, with_acceleration=with_acceleration) for one in references]
        if options.folds:
            print(name)
            left_out(held, options.folds)
            continue
        model = fit(held)
        numbers[name] = {
            "hidden": np.round(model.hidden, 5).tolist(),
            "output": np.round(model.output, 5).tolist(),
        }
    if numbers:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(numbers, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
