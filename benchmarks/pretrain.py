"""Contrastive pretraining on one-minute pulse-oximeter recordings, beside the way of the published study.

Both learn from pairs of 10 s segments of one patient (red and infrared at 80 Hz, a segment every 2 s), with noise and
permutation, 64 pairs a step, on the same number of cores:

1. the published way, written plainly: a pickle of Python lists for each segment, a Dataset that looks its rows up in a
   table and changes them one by one, a DataLoader with two workers, a ResNet-50 over time, NT-Xent, Adam;
2. ours: the segment bank, the sampler of pairs, the objective (in which the augmentations are, for a whole batch at a
   time), the optimizer; with the default encoder, and with the published one.

    python benchmarks/pretrain.py [--seconds 6] [--rounds 3] [--threads 2] [--device cpu]
    python benchmarks/pretrain.py --gpu-report [--device cuda] [--batch 128 4096] [--recordings 7578]

Each figure is taken in a process of its own that may use ``--threads`` cores, loader's workers included, after warm-up;
ratios are of one round, and of several rounds the median. Supply means normalised pairs in memory: without
augmentations on either side, which ``ratio supply`` compares, and with those of both. ``ratio train_default`` and
``ratio train_resnet50`` compare supply, augmentations and training step together. Over 1, we are better. Each network
trains in the precision that ``pretraining.precision: auto`` chooses for it here: ``resnet50-1d`` in bfloat16 where the
processor multiplies it, which has a line in float32, too.

``--gpu-report`` shows what a GPU makes of it: segments a second in float32 and bfloat16, compiled and not, beside the
machine's own ceilings (a large copy, a large product of matrices). It runs on a CPU, too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import pickle
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, Dataset, RandomSampler
from torch.utils.flop_counter import FlopCounterMode

from ppgssl.core.config.pretraining import ContrastivePatientOptions, Pretraining, ResNet1dShape, ResNet50Shape
from ppgssl.core.provenance import peak_memory_mb
from ppgssl.selfsupervised.augmentations import augment
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.devices import choose_precision
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.objectives import make_objective
from ppgssl.selfsupervised.optimisation import learning_rate, make_optimizer, set_learning_rate
from ppgssl.selfsupervised.sampling import PairSampler

FS_HZ, SECONDS, SEGMENT_S, STEP_S = 80, 60, 10, 2
LENGTH = SEGMENT_S * FS_HZ
STARTS = range(0, (SECONDS - SEGMENT_S) * FS_HZ + 1, STEP_S * FS_HZ)
MEAN, SD = (0.3, 0.6), (0.09, 0.13)
PAIRS = 64
RECORDINGS = 200
PUBLISHED_RECORDINGS = 7578
ENCODERS = {"resnet1d": ResNet1dShape(), "resnet50-1d": ResNet50Shape(name="resnet50-1d")}

# Does some work, and says how many segments that were.
Work = Callable[[], int]


def recordings(n: int) -> np.ndarray:
    """Noise about the published levels, float32, shape (n, 2, samples): neither way looks at what the samples say."""
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((n, 2, SECONDS * FS_HZ), dtype=np.float32)
    return noise * np.float32(SD)[:, None] + np.float32(MEAN)[:, None]


# --- the published way -----------------------------------------------------------------------------------------


def write_pickles(folder: Path) -> None:
    rows = []
    for patient, (red, infrared) in enumerate(recordings(RECORDINGS)):
        for position, start in enumerate(STARTS):
            stop = start + LENGTH
            path = folder / f"{patient:04d}_{position:02d}.pickle"
            with path.open("wb") as file:
                pickle.dump({"red": red[start:stop].tolist(), "infrared": infrared[start:stop].tolist()}, file)
            rows.append({"id": f"{patient:04d}", "position": position, "filename": str(path)})
    pd.DataFrame(rows).to_csv(folder / "segments.csv", index=False)


def with_noise(red: np.ndarray, infrared: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sd = np.random.uniform(1e-5, 1e-1)  # noqa: NPY002 - as scripts do
    return red + np.random.normal(0, sd, len(red)), infrared + np.random.normal(0, sd, len(infrared))  # noqa: NPY002


def permuted(red: np.ndarray, infrared: np.ndarray, n_pieces: int = 5) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.permutation(n_pieces)  # noqa: NPY002
    pieces = [np.split(channel, n_pieces) for channel in (red, infrared)]
    return np.concatenate([pieces[0][i] for i in order]), np.concatenate([pieces[1][i] for i in order])


class PlainPairs(Dataset):
    """An item is a patient: two of their segments that do not overlap, drawn from a table of all segments."""

    def __init__(self, folder: Path, *, is_augmented: bool = True) -> None:
        self.changes = (with_noise, permuted) if is_augmented else ()
        self.table = pd.read_csv(folder / "segments.csv", dtype={"id": str})
        self.ids = self.table["id"].unique()

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, item: int) -> tuple[Tensor, Tensor]:
        rows = self.table.loc[self.table["id"] == self.ids[item]]
        first = rows.sample(1).iloc[0]
        distance = (rows["position"] - first["position"]).abs()
        second = rows.loc[distance * STEP_S >= SEGMENT_S].sample(1).iloc[0]
        return self.segment(first["filename"]), self.segment(second["filename"])

    def segment(self, filename: str) -> Tensor:
        with open(filename, "rb") as file:
            ppg = pickle.load(file)
        red, infrared = np.array(ppg["red"]), np.array(ppg["infrared"])
        for change in self.changes:
            red, infrared = change(red, infrared)
        return torch.tensor(np.stack([(red - MEAN[0]) / SD[0], (infrared - MEAN[1]) / SD[1]]))


class PlainBottleneck(nn.Module):
    def __init__(self, n_in: int, width: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(n_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm1d(width)
        self.conv2 = nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm1d(width)
        self.conv3 = nn.Conv1d(width, 2 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm1d(2 * width)
        self.shortcut = None
        if n_in != 2 * width:
            self.shortcut = nn.Sequential(nn.Conv1d(n_in, 2 * width, 1, bias=False), nn.BatchNorm1d(2 * width))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x if self.shortcut is None else self.shortcut(x)
        return self.relu(y)


class PlainResNet50(nn.Module):
    """The published network, in the layers that one would take: 9.2 million numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(2, 64, 7, dilation=2, padding=3, bias=False)
        self.bn = nn.BatchNorm1d(64)
        self.pool = nn.MaxPool1d(7, stride=3, padding=3)
        self.stages = nn.ModuleList()
        n_in = 64
        for number, (width, n_blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3))):
            blocks = []
            for block in range(n_blocks):
                blocks.append(PlainBottleneck(n_in, width, dilation=2**number if block == 0 else 1))
                n_in = 2 * width
            self.stages.append(nn.Sequential(*blocks))
        self.head = nn.Sequential(nn.BatchNorm1d(n_in), nn.ReLU(), nn.Linear(n_in, 32), nn.ReLU(), nn.Linear(32, 32))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn(self.stem(x)))
        for stage in self.stages:
            x = stage(self.pool(x))
        return self.head(x.mean(dim=-1))


def plain_nt_xent(first: Tensor, second: Tensor, temperature: float = 0.1) -> Tensor:
    views = functional.normalize(torch.cat([first, second]), dim=1)
    similarity = views @ views.T / temperature
    similarity.fill_diagonal_(-torch.inf)
    partner = torch.arange(len(views), device=views.device).roll(len(first))
    return functional.cross_entropy(similarity, partner)


def plain_loader(folder: Path, *, is_augmented: bool = True) -> Iterator[tuple[Tensor, Tensor]]:
    # One epoch without end, so that workers need not start anew in each: kinder than usual.
    pairs = PlainPairs(folder, is_augmented=is_augmented)
    sampler = RandomSampler(pairs, replacement=True, num_samples=10**9)
    return iter(DataLoader(pairs, batch_size=PAIRS, sampler=sampler, num_workers=2))


def plain_supply(folder: Path, is_augmented: bool) -> Work:
    batches = plain_loader(folder, is_augmented=is_augmented)

    def work() -> int:
        return 2 * len(next(batches)[0])

    return work


def plain_training(batches: Iterator[tuple[Tensor, Tensor]], device: str) -> Work:
    network = PlainResNet50().to(device)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)

    def work() -> int:
        first, second = (x.to(device, dtype=torch.float) for x in next(batches))
        loss = plain_nt_xent(network(first), network(second))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        return 2 * len(first)

    return work


def plain_step(device: str) -> Work:
    batch = torch.randn(2, PAIRS, 2, LENGTH, dtype=torch.float64)
    return plain_training(iter(lambda: tuple(batch), None), device)


def plain_both(folder: Path, device: str) -> Work:
    return plain_training(plain_loader(folder), device)


# --- ours ------------------------------------------------------------------------------------------------------


def make_bank(n: int, device: str) -> tuple[SegmentBank, np.ndarray]:
    """Recordings as the segment bank holds them, and the recording of each segment."""
    samples = recordings(n).swapaxes(0, 1).reshape(2, -1)
    recording = np.repeat(np.arange(n), len(STARTS))
    starts = recording * SECONDS * FS_HZ + np.tile(STARTS, n)
    shape = (len(starts), 2)
    scale = np.broadcast_to(1 / np.float32(SD), shape)
    return SegmentBank(samples, starts, LENGTH, np.broadcast_to(np.float32(MEAN), shape), scale).to(device), recording


class Ours:
    """The parts of a training step, as the loop of ``ppgssl pretrain`` calls them."""

    def __init__(self, encoder: str, device: str, *, n_recordings: int = RECORDINGS, n_pairs: int = PAIRS) -> None:
        self.device, self.n_pairs = torch.device(device), n_pairs
        objective = ContrastivePatientOptions(name="contrastive-patient")
        self.settings = Pretraining(objective=objective, encoder=ENCODERS[encoder], batch_size=n_pairs, n_steps=10**6)
        network = make_encoder(2, self.settings.shape, fs_hz=80.0, seed=0)
        is_cuda = self.device.type == "cuda"
        self.is_bf16 = choose_precision(is_cuda=is_cuda, pays_on_cpu=network.bf16_pays_on_cpu) == "bf16-mixed"
        self.objective = make_objective(network, self.settings, fs_hz=FS_HZ).to(self.device)
        self.optimizer = make_optimizer(self.objective, self.settings)
        self.loss: Callable[..., Tensor] = self.objective.loss
        self.generator = torch.Generator(self.device).manual_seed(0)
        self.bank, recording = make_bank(n_recordings, device)
        self.sampler = PairSampler(
            torch.arange(len(self.bank)),
            n_pairs,
            patient=recording,
            recording=recording,
            start=self.bank.starts.cpu().numpy(),
            length=LENGTH,
            min_segments=16,
            seed=0,
        )

    def batch(self) -> Tensor:
        return self.bank.gather(self.sampler.draw())

    def draws(self) -> dict[str, Tensor]:
        return self.objective.draw(self.n_pairs, LENGTH, self.generator)

    def supply(self) -> int:
        return self.batch()[..., 0, 0].numel()

    def supply_augmented(self) -> int:
        draws = {name: values.flatten(0, 1) for name, values in self.draws().items()}
        return len(augment(self.batch().flatten(0, 1), self.objective.augmentations, draws))

    def train(self, batch: Tensor | None = None) -> int:
        set_learning_rate(self.optimizer, learning_rate(0, self.settings))
        draws = self.draws()
        self.optimizer.zero_grad(set_to_none=True)
        mixed = torch.autocast(self.device.type, torch.bfloat16) if self.is_bf16 else nullcontext()
        with mixed:
            loss = self.loss(self.batch() if batch is None else batch, draws)
        loss.backward()
        nn.utils.clip_grad_norm_(self.objective.parameters(), 1.0)
        self.optimizer.step()
        return 2 * self.n_pairs


def our_supply(device: str, is_augmented: bool) -> Work:
    ours = Ours("resnet1d", device)
    return ours.supply_augmented if is_augmented else ours.supply


def our_step(encoder: str, device: str) -> Work:
    ours = Ours(encoder, device)
    return partial(ours.train, ours.batch())


def our_both(encoder: str, device: str) -> Work:
    return Ours(encoder, device).train


def our_both_in_float32(encoder: str, device: str) -> Work:
    ours = Ours(encoder, device)
    ours.is_bf16 = False
    return ours.train


# --- measuring -------------------------------------------------------------------------------------------------


def per_second(work: Work, seconds: float, device: str) -> float:
    """Segments a second, after three calls that do not count."""
    for _ in range(3):
        work()
    _wait_for(device)
    n, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds:
        n += work()
    _wait_for(device)
    return n / max(elapsed, time.perf_counter() - started)


def _wait_for(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def measured(make_work: Callable[[], Work], options: argparse.Namespace) -> tuple[float, float]:
    """Segments a second and peak memory in MB of a fresh process (or of its largest child)."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_measure, args=(make_work, options, results))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("a measurement failed")
    rate, megabytes = results.get()
    return rate, megabytes


def _measure(make_work: Callable[[], Work], options: argparse.Namespace, results: Any) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.threads :])
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    results.put((per_second(make_work(), options.seconds, options.device), peak_memory_mb()))


def side_by_side(options: argparse.Namespace) -> None:
    device = options.device
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_pickles(folder)
        figures: dict[str, Callable[[], Work]] = {
            "published way, supply": partial(plain_supply, folder, False),
            "ours, supply": partial(our_supply, device, False),
            "published way, augmented": partial(plain_supply, folder, True),
            "ours, augmented": partial(our_supply, device, True),
            "published way, step": partial(plain_step, device),
            "ours, resnet1d, step": partial(our_step, "resnet1d", device),
            "ours, resnet50-1d, step": partial(our_step, "resnet50-1d", device),
            "published way, both": partial(plain_both, folder, device),
            "ours, resnet1d, both": partial(our_both, "resnet1d", device),
            "ours, resnet50-1d, both": partial(our_both, "resnet50-1d", device),
            "  the same in float32": partial(our_both_in_float32, "resnet50-1d", device),
        }
        rounds = [
            {name: measured(make_work, options) for name, make_work in figures.items()} for _ in range(options.rounds)
        ]
    print(f"{options.threads} cores, {options.rounds} rounds of {options.seconds:g} s, medians; load {_load()}")
    print(f"{'':26}{'segments/s':>12}{'pairs/s':>12}{'peak MB':>10}")
    for name in figures:
        rate, megabytes = (statistics.median(found[name][column] for found in rounds) for column in (0, 1))
        print(f"{name:26}{rate:12.0f}{rate / 2:12.0f}{megabytes:10.0f}")

    def ratio(ours: str, theirs: str) -> float:
        return statistics.median(found[ours][0] / found[theirs][0] for found in rounds)

    print(f"supply with augmentations: {ratio('ours, augmented', 'published way, augmented'):.1f} times as fast")
    step = "published way, step"
    print(f"step alone: resnet1d {ratio('ours, resnet1d, step', step):.1f} times as fast, ", end="")
    print(f"resnet50-1d {ratio('ours, resnet50-1d, step', step):.2f} times")
    in_float32 = ratio("  the same in float32", "published way, both")
    print(f"supply and step: resnet50-1d in float32 {in_float32:.2f} times, in this machine's default as below")
    print(f"ratio supply {ratio('ours, supply', 'published way, supply'):.1f}")
    print(f"ratio train_default {ratio('ours, resnet1d, both', 'published way, both'):.1f}")
    print(f"ratio train_resnet50 {ratio('ours, resnet50-1d, both', 'published way, both'):.2f}")


def _load() -> str:
    return " ".join(f"{value:.1f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


# --- what a GPU makes of it ------------------------------------------------------------------------------------


class ByteCounter(TorchDispatchMode):
    """Bytes that operations read and write if none of it is in a cache: what bounds small networks."""

    def __init__(self) -> None:
        super().__init__()
        self.n_bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
            self.n_bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return result


def ceilings(device: str, seconds: float) -> dict[str, float]:
    """GB/s of a large copy, and TFLOP/s of a large product of matrices in float32 and bfloat16."""
    is_gpu = torch.device(device).type == "cuda"
    source = torch.ones((2**28 if is_gpu else 2**26) // 4, device=device)
    target = torch.empty_like(source)

    def copy() -> int:
        target.copy_(source)
        return 2 * source.numel() * source.element_size()

    found = {"copy": per_second(copy, seconds, device) / 1e9}
    size = 8192 if is_gpu else 1024
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.randn(size, size, device=device).to(dtype)

        def multiply(matrix: Tensor = matrix) -> int:
            torch.mm(matrix, matrix)
            return 2 * size**3

        found[str(dtype)] = per_second(multiply, seconds, device) / 1e12
    return found


def gpu_report(options: argparse.Namespace) -> None:
    device, seconds = options.device, options.seconds
    torch.set_num_threads(options.threads)
    name = torch.cuda.get_device_name() if torch.device(device).type == "cuda" else f"CPU, {options.threads} threads"
    print(f"{name}, torch {torch.__version__}")
    most = ceilings(device, seconds)
    print(f"copy {most['copy']:.0f} GB/s, product of matrices {most['torch.float32']:.1f} TFLOP/s in float32, ", end="")
    print(f"{most['torch.bfloat16']:.1f} in bfloat16")
    n_segments = PUBLISHED_RECORDINGS * len(STARTS)
    print(f"an epoch: {n_segments} segments of {PUBLISHED_RECORDINGS} recordings, supply and training step together")
    print(f"{'':34}{'segments/s':>12}{'epoch s':>10}{'TFLOP/s':>10}{'of most':>9}{'GB/s':>8}{'of most':>9}")
    for encoder in ENCODERS:
        for batch in options.batch:
            for is_bf16 in (False, True):
                for is_compiled in (False, True):
                    _report_one(encoder, batch, is_bf16, is_compiled, most, n_segments, options)


def _report_one(
    encoder: str,
    batch: int,
    is_bf16: bool,
    is_compiled: bool,
    most: dict[str, float],
    n_segments: int,
    options: argparse.Namespace,
) -> None:
    ours = Ours(encoder, options.device, n_recordings=options.recordings, n_pairs=batch // 2)
    ours.is_bf16 = is_bf16
    with FlopCounterMode(display=False) as flops, ByteCounter() as traffic:
        ours.train()
    name = f"{encoder}, {batch}, {'bf16' if is_bf16 else 'fp32'}{', compiled' if is_compiled else ''}"
    if is_compiled:
        ours.loss = torch.compile(ours.objective.loss)
    try:
        rate = per_second(ours.train, options.seconds, options.device)
    except Exception as error:  # whatever part of the compiler is missing
        print(f"{name:34}{type(error).__name__}: {str(error).strip().splitlines()[0][:70]}")
        return
    tera, giga = flops.get_total_flops() / batch * rate / 1e12, traffic.n_bytes / batch * rate / 1e9
    # A compiled network reads and writes less than operation by operation, so this is no share of what it moves.
    bandwidth = f"{'':17}" if is_compiled else f"{giga:8.0f}{giga / most['copy']:9.0%}"
    of_most = tera / most["torch.bfloat16" if is_bf16 else "torch.float32"]
    print(f"{name:34}{rate:12.0f}{n_segments / rate:10.1f}{tera:10.2f}{of_most:9.0%}{bandwidth}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="cores that each process may use")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--gpu-report", action="store_true")
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 4096], help="segments, for --gpu-report")
    parser.add_argument("--recordings", type=int, default=PUBLISHED_RECORDINGS, help="held, for --gpu-report")
    options = parser.parse_args()
    if options.gpu_report:
        gpu_report(options)
    else:
        side_by_side(options)


if __name__ == "__main__":
    main()
