"""Changes to segments that keep their meaning, or that a network has to recognise.

Each has two parts: the randomness of a batch, drawn beforehand, and the change itself, which is the same for the same
draws and works on all segments of a batch at once. A channel that a cohort lacks is all zeros, and stays so.

References
----------
.. [1] Um et al., Data augmentation of wearable sensor data for Parkinson's disease monitoring using convolutional
   neural networks, ICMI 2017, arXiv:1706.00527: noise ("jittering"), scaling, permutation, time warping.
.. [2] Saeed et al., Multi-task self-supervised learning for human activity detection, Proc ACM IMWUT 3(2), 2019,
   arXiv:1907.11879: those, and negation and reversal of time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ppgssl.core.config.pretraining import (
    AmbientLightOptions,
    AnyAugmentation,
    ClippingOptions,
    ContactLossOptions,
    MotionOptions,
    NoiseOptions,
    PermutationOptions,
    ScalingOptions,
    TimeWarpingOptions,
)

Draws = dict[str, Tensor]


@dataclass(frozen=True)
class Augmentation:
    """Two functions, of which only the first draws random numbers.

    ``draw(n, n_channels, length, options, generator)`` gives tensors with n as first dimension, on the generator's
    device; ``apply(x, draws)`` changes all segments of ``x``, shape (n, n_channels, length).
    """

    draw: Callable[[int, int, int, Any, torch.Generator], Draws]
    apply: Callable[[Tensor, Draws], Tensor]


def draw_augmentations(
    augmentations: Sequence[AnyAugmentation], n: int, n_channels: int, length: int, generator: torch.Generator
) -> Draws:
    """All randomness that a list of augmentations needs for n segments of shape (n_channels, length).

    Tensors have n as first dimension and are on the generator's device. ``<place in the list>.applied``, bool, shape
    (n,), names the segments that an augmentation is applied to.
    """
    draws: Draws = {}
    for place, options in enumerate(augmentations):
        chance = torch.rand(n, generator=generator, device=generator.device)
        found = AUGMENTATIONS[options.name].draw(n, n_channels, length, options, generator)
        found["applied"] = chance < options.probability
        draws.update({f"{place}.{key}": value for key, value in found.items()})
    return draws


def augment(x: Tensor, augmentations: Sequence[AnyAugmentation], draws: Draws) -> Tensor:
    """Segments of shape (n, n_channels, length) after the augmentations, one after another in the list's order."""
    for place, options in enumerate(augmentations):
        start = f"{place}."
        own = {key.removeprefix(start): value for key, value in draws.items() if key.startswith(start)}
        changed = AUGMENTATIONS[options.name].apply(x, own)
        x = torch.where(own["applied"][:, None, None], changed, x)
    return x


def _draw_nothing(n: int, n_channels: int, length: int, options: Any, generator: torch.Generator) -> Draws:
    del n, n_channels, length, options, generator
    return {}


def _draw_noise(n: int, n_channels: int, length: int, options: NoiseOptions, generator: torch.Generator) -> Draws:
    noise = torch.randn(n, n_channels, length, generator=generator, device=generator.device)
    return {"noise": options.sd * noise}


def _add_noise(x: Tensor, draws: Draws) -> Tensor:
    return x + draws["noise"] * x.std(dim=-1, unbiased=False, keepdim=True)


def _draw_factors(n: int, n_channels: int, length: int, options: ScalingOptions, generator: torch.Generator) -> Draws:
    del length
    normal = torch.randn(n, n_channels, 1, generator=generator, device=generator.device)
    return {"factor": (options.sd * normal).exp()}


def _scale(x: Tensor, draws: Draws) -> Tensor:
    return x * draws["factor"]


def _negate(x: Tensor, draws: Draws) -> Tensor:
    del draws
    return -x


def _reverse(x: Tensor, draws: Draws) -> Tensor:
    del draws
    return x.flip(-1)


def _draw_chunks(
    n: int, n_channels: int, length: int, options: PermutationOptions, generator: torch.Generator
) -> Draws:
    """``cuts``, where chunks end (those that are not needed: at the end), and ``order``, the chunk for each place.

    The chunks never stay in their order, so that a permuted segment always differs from one that was not.
    """
    del n_channels
    device, max_chunks = generator.device, min(options.max_chunks, length)
    n_chunks = torch.randint(2, max_chunks + 1, (n, 1), generator=generator, device=device)
    # The largest of a random number for each sample: distinct places, each as likely as any other.
    chance = torch.rand(n, length - 1, generator=generator, device=device)
    cuts = 1 + chance.topk(max_chunks - 1, dim=-1).indices
    is_needed = torch.arange(max_chunks - 1, device=device) < n_chunks - 1
    cuts = torch.where(is_needed, cuts, length).sort(dim=-1).values
    key = torch.rand(n, max_chunks, generator=generator, device=device)
    is_unchanged = ((key[:, :-1] < key[:, 1:]) | ~is_needed).all(dim=-1, keepdim=True)
    return {"cuts": cuts, "order": torch.where(is_unchanged, -key, key).argsort(dim=-1)}


def _permute(x: Tensor, draws: Draws) -> Tensor:
    cuts, order = draws["cuts"], draws["order"]
    length = x.shape[-1]
    begin = functional.pad(cuts, (1, 0), value=0).gather(1, order)
    size = functional.pad(cuts, (0, 1), value=length).gather(1, order) - begin
    end = size.cumsum(dim=-1)  # of the chunk at each place
    time = torch.arange(length, device=x.device).expand(len(x), length).contiguous()
    place = torch.searchsorted(end, time, right=True)  # of the chunk that each sample of the outcome comes from
    index = time + (begin + size - end).gather(1, place)
    return x.gather(-1, index.unsqueeze(1).expand_as(x))


def _draw_speeds(
    n: int, n_channels: int, length: int, options: TimeWarpingOptions, generator: torch.Generator
) -> Draws:
    del n_channels, length
    normal = torch.randn(n, options.n_knots, generator=generator, device=generator.device)
    return {"log_speed": options.sd * normal}


def _warp(x: Tensor, draws: Draws) -> Tensor:
    """Samples at other times: begin and end stay, and between the knots the logarithm of the speed is a line."""
    length = x.shape[-1]
    log_speed = functional.interpolate(
        draws["log_speed"].unsqueeze(1), size=length - 1, mode="linear", align_corners=True
    )
    steps = log_speed.squeeze(1).exp().cumsum(dim=-1)
    time = functional.pad(steps / steps[:, -1:], (1, 0)) * (length - 1)
    before = time.floor().clamp(max=length - 2)
    weight = (time - before).unsqueeze(1)
    index = before.long().unsqueeze(1).expand_as(x)
    return torch.lerp(x.gather(-1, index), x.gather(-1, index + 1), weight)


def _draw_interval(n: int, length: int, proportion: float, generator: torch.Generator) -> Tensor:
    """An interval of a tenth to the whole of a proportion of each segment: float 0 or 1, shape (n, 1, length)."""
    chance = torch.rand(n, 2, 1, 1, generator=generator, device=generator.device)
    size = ((0.1 + 0.9 * chance[:, 0]) * proportion * length).clamp(min=1)
    time = torch.arange(length, device=generator.device) - chance[:, 1] * (length - size)
    return ((time >= 0) & (time < size)).float()


def _draw_waves(
    n: int, length: int, options: MotionOptions | AmbientLightOptions, generator: torch.Generator
) -> Tensor:
    """Straight lines between random heights, of a random size up to ``sd``, shape (n, 1, length)."""
    knots = torch.randn(n, 1, options.n_knots, generator=generator, device=generator.device)
    waves = functional.interpolate(knots, size=length, mode="linear", align_corners=True)
    waves = waves / waves.std(dim=-1, unbiased=False, keepdim=True).clamp(min=1e-6)
    return options.sd * torch.rand(n, 1, 1, generator=generator, device=generator.device) * waves


def _draw_motion(n: int, n_channels: int, length: int, options: MotionOptions, generator: torch.Generator) -> Draws:
    del n_channels
    return {"noise": _draw_waves(n, length, options, generator) * _draw_interval(n, length, 1.0, generator)}


def _draw_light(
    n: int, n_channels: int, length: int, options: AmbientLightOptions, generator: torch.Generator
) -> Draws:
    del n_channels
    return {"noise": _draw_waves(n, length, options, generator)}


def _draw_loss(n: int, n_channels: int, length: int, options: ContactLossOptions, generator: torch.Generator) -> Draws:
    del n_channels
    return {"factor": 1 - _draw_interval(n, length, options.proportion, generator)}


def _draw_limit(n: int, n_channels: int, length: int, options: ClippingOptions, generator: torch.Generator) -> Draws:
    del length
    chance = torch.rand(n, n_channels, 1, generator=generator, device=generator.device)
    return {"limit": options.limit + (1 - options.limit) * chance}


def _clip(x: Tensor, draws: Draws) -> Tensor:
    limit = draws["limit"] * x.abs().amax(dim=-1, keepdim=True)
    return x.clamp(-limit, limit)


AUGMENTATIONS: dict[str, Augmentation] = {
    "noise": Augmentation(_draw_noise, _add_noise),
    "scaling": Augmentation(_draw_factors, _scale),
    "negation": Augmentation(_draw_nothing, _negate),
    "time-reversal": Augmentation(_draw_nothing, _reverse),
    "permutation": Augmentation(_draw_chunks, _permute),
    "time-warping": Augmentation(_draw_speeds, _warp),
    "motion": Augmentation(_draw_motion, _add_noise),
    "ambient-light": Augmentation(_draw_light, _add_noise),
    "contact-loss": Augmentation(_draw_loss, _scale),
    "clipping": Augmentation(_draw_limit, _clip),
}
