"""What a run trains on and is evaluated by: segments, or pairs of segments of one patient."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from ppgssl.core.config.pretraining import Pretraining, TwoViewsOptions
from ppgssl.core.errors import TrainingError
from ppgssl.core.records import IntArray
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.sampling import EpochSampler, PairSampler
from ppgssl.selfsupervised.validation import MAX_SEGMENTS

_CHECK_AT_ONCE = 4096
# Any fixed number: the pairs that a run is evaluated by do not depend on its seed.
_HELD_OUT_SEED = 0


@dataclass(frozen=True)
class TrainingData:
    """Segments of a bank to train on and to evaluate by, checked, and whose they are.

    ``train`` and ``validation`` are numbers of segments in the bank. ``patients`` and ``recordings``, shape
    (len(bank),), are codes of the patient and the recording of each segment: objectives that learn from pairs need
    them.
    """

    bank: SegmentBank
    train: IntArray = field(repr=False)
    validation: IntArray = field(repr=False)
    patients: IntArray | None = field(repr=False)
    recordings: IntArray | None = field(repr=False)

    def sampler(self, settings: Pretraining, *, seed: int) -> EpochSampler | PairSampler:
        """What gives the segments, or pairs, of each step."""
        train, options = torch.from_numpy(self.train), pair_options(settings)
        if options is None:
            return EpochSampler(train, settings.batch_size, seed=seed)
        return self._pairs(train, settings.batch_size, options.name, options.min_segments, seed)

    def held_out(self, settings: Pretraining) -> Tensor:
        """What every evaluation uses: numbers of segments, shape (n,), or of pairs, shape (n, 2).

        A ``TrainingError`` is raised if the objective needs pairs, and no held-out patient has one.
        """
        validation, options = torch.from_numpy(self.validation), pair_options(settings)
        if options is None:
            return validation
        n = _n_pairs(len(validation), settings.batch_size)
        try:
            return self._pairs(validation, n, options.name, 2, _HELD_OUT_SEED).draw()
        except TrainingError as error:
            raise TrainingError(
                f"`pretraining.objective: {options.name}` is evaluated by pairs of segments of held-out patients: "
                f"{error} They evaluate the loss: raising `pretraining.validation_fraction` may help, too."
            ) from None

    def _pairs(self, index: Tensor, batch_size: int, objective: str, min_segments: int, seed: int) -> PairSampler:
        patients, recordings = self._whose(objective)
        return PairSampler(
            index,
            batch_size,
            patient=patients,
            recording=recordings,
            start=self.bank.starts.cpu().numpy(),
            length=self.bank.length,
            min_segments=min_segments,
            seed=seed,
        )

    def _whose(self, objective: str) -> tuple[IntArray, IntArray]:
        if self.patients is None or self.recordings is None:
            raise TrainingError(
                f"`pretraining.objective: {objective}` learns from pairs of segments of one patient: give the "
                "patient and recording of each segment (`patients`, `recordings`)"
            )
        return self.patients, self.recordings

    def digest(self, settings: Pretraining) -> dict[str, str]:
        """Hashes of everything here that decides what a run learns."""
        arrays = {"train": self.train, "validation": self.validation}
        options = pair_options(settings)
        if options is not None:
            arrays["patients"], arrays["recordings"] = self._whose(options.name)
        hashes = {name: hashlib.sha256(np.ascontiguousarray(values, "<i8").data) for name, values in arrays.items()}
        return {"bank": self.bank.sha256(), **{name: digest.hexdigest() for name, digest in hashes.items()}}


def pair_options(settings: Pretraining) -> TwoViewsOptions | None:
    """The options of an objective whose samples are two segments of one patient; None for the others."""
    options = settings.objective
    if isinstance(options, TwoViewsOptions) and options.pairs == "patient":
        return options
    return None


def _n_pairs(n_segments: int, batch_size: int) -> int:
    """Pairs to evaluate by: whole batches, since a loss that compares pairs depends on how many a batch has."""
    most = min(n_segments, MAX_SEGMENTS)
    return most if most < batch_size else most - most % batch_size


def checked_data(
    bank: SegmentBank,
    train_index: ArrayLike,
    validation_index: ArrayLike,
    patients: ArrayLike | None = None,
    recordings: ArrayLike | None = None,
) -> TrainingData:
    """Training data, unless they cannot be trained on.

    A ``TrainingError`` is raised if there are too few segments, some are both to train on and to evaluate by, or one is
    not in the bank or not finite; or patients or recordings are not given for each segment of the bank.
    """
    train, validation = (np.array(index, dtype=np.int64).ravel() for index in (train_index, validation_index))
    if len(train) < 2 or len(validation) < 2:
        raise TrainingError(
            f"pretraining needs at least two segments to train on and two to evaluate by, and got {len(train)} and "
            f"{len(validation)}. Lower `inputs.min_sqi`, or add recordings."
        )
    if len(np.intersect1d(train, validation)):
        raise TrainingError(
            "some segments are both to train on and to evaluate by: split by patient before pretraining"
        )
    together = np.concatenate([train, validation])
    if together.min() < 0 or together.max() >= len(bank):
        raise TrainingError(
            f"segment numbers must lie in 0..{len(bank) - 1}, and reach {together.min()}..{together.max()}"
        )
    codes = [
        _checked_codes(bank, name, values) for name, values in (("patients", patients), ("recordings", recordings))
    ]
    _check_samples(bank, together)
    return TrainingData(bank, train, validation, *codes)


def _checked_codes(bank: SegmentBank, name: str, values: ArrayLike | None) -> IntArray | None:
    if values is None:
        return None
    codes = np.asarray(values, dtype=np.int64)
    if codes.shape != (len(bank),):
        raise TrainingError(f"`{name}` must have a code for each of the {len(bank)} segments, and has {codes.shape}")
    return codes


def _check_samples(bank: SegmentBank, index: IntArray) -> None:
    for part in torch.from_numpy(np.sort(index)).split(_CHECK_AT_ONCE):
        is_finite = torch.isfinite(bank.gather(part)).all(dim=-1).all(dim=-1)
        if not bool(is_finite.all()):
            worst = int(part[~is_finite.cpu()][0])
            raise TrainingError(
                f"segment {worst} of the bank has a sample that is not finite, so no network can be trained on it. "
                "Accept only segments without gaps, and check the normalisation."
            )
