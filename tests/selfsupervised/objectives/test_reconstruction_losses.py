"""Losses of reconstructions, against their formulas written out and against signals whose loss is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.selfsupervised.objectives.reconstruction_losses import (
    RECONSTRUCTION_LOSSES,
    SPECTRAL_WINDOWS_S,
    STEEPNESS,
    mse,
    sdsc,
    sdsc_mse,
    spectral,
)

FS_HZ = 20.0


def make_signals(seed=0, n=3, n_channels=2, length=120):
    rng = np.random.default_rng(seed)
    output, target = torch.from_numpy(rng.standard_normal((2, n, n_channels, length))).float()
    counted = torch.zeros(n, n_channels, length, dtype=torch.bool)
    counted[0] = True
    counted[1, :, 30:50] = True
    counted[2, 0, 5:9] = True  # and nothing of the second channel
    return output, target, counted


def literal_mse(output, target, counted):
    errors = [
        (a - b) ** 2 for a, b, counts in zip(output.ravel(), target.ravel(), counted.ravel(), strict=True) if counts
    ]
    return np.mean(errors)


def literal_sdsc(output, target, counted):
    of_channels = []
    for a, b, counts in zip(output, target, counted, strict=True):
        if not counts.any():
            continue
        above = below = 0.0
        for i in np.flatnonzero(counts):
            step = 1 / (1 + np.exp(-STEEPNESS * a[i] * b[i] / np.mean(b**2)))
            above += 2 * step * min(abs(a[i]), abs(b[i]))
            below += abs(a[i]) + abs(b[i])
        of_channels.append(1 - above / below)
    return np.mean(of_channels)


def literal_spectrum(x, first, window):
    """Magnitudes of one window, by the definition of the Fourier transform."""
    n = len(window)
    time = np.arange(n)
    part = x[first : first + n] * window
    return np.array([abs(np.sum(part * np.exp(-2j * np.pi * k * time / n))) for k in range(n // 2 + 1)])


def literal_spectral_distance(output, target, counted, n):
    """Of one channel, at one window length."""
    padded_output, padded_target, padded_counted = (
        np.pad(x, n // 2, mode="reflect") for x in (output, target, counted)
    )
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    starts = range(0, len(padded_target) - n + 1, n // 4)
    all_wanted = [literal_spectrum(padded_target, first, window) for first in starts]
    floor = 0.01 * np.sqrt(np.mean(np.square(all_wanted)))
    found, wanted = [], []
    for first, spectrum in zip(starts, all_wanted, strict=True):
        if padded_counted[first : first + n].any():
            found.append(literal_spectrum(padded_output, first, window))
            wanted.append(spectrum)
    found, wanted = np.array(found), np.array(wanted)
    convergence = np.sqrt(((found - wanted) ** 2).sum()) / np.sqrt((wanted**2).sum())
    return convergence + np.mean(np.abs(np.log(found + floor) - np.log(wanted + floor)))


def literal_spectral(output, target, counted):
    composite = np.where(counted, output, target)
    return np.mean(
        [
            np.mean(
                [
                    literal_spectral_distance(composite[c], target[c], counted[c], round(seconds * FS_HZ))
                    for seconds in SPECTRAL_WINDOWS_S
                ]
            )
            for c in range(len(target))
            if counted[c].any()
        ]
    )


@pytest.mark.parametrize(
    ("loss", "literal"),
    [
        (mse, literal_mse),
        (sdsc, literal_sdsc),
        (spectral, literal_spectral),
        (sdsc_mse, lambda *signals: literal_sdsc(*signals) + literal_mse(*signals)),
    ],
)
def test_a_loss_equals_its_formula_written_out(loss, literal):
    signals = make_signals()
    expected = [
        literal(*(x[segment].double().numpy() for x in signals[:2]), signals[2][segment].numpy())
        for segment in range(3)
    ]
    np.testing.assert_allclose(loss(*signals, FS_HZ), expected, rtol=1e-4)


@pytest.mark.parametrize("loss", RECONSTRUCTION_LOSSES.values())
@given(seed=st.integers(0, 10_000))
def test_only_counted_samples_count_and_a_perfect_reconstruction_is_the_best(loss, seed):
    output, target, counted = make_signals(seed)
    elsewhere = torch.where(counted, output, output + 50)
    torch.testing.assert_close(loss(elsewhere, target, counted, FS_HZ), loss(output, target, counted, FS_HZ))
    perfect, other = loss(target, target, counted, FS_HZ), loss(output, target, counted, FS_HZ)
    assert (perfect <= other).all()
    assert (perfect >= 0).all()


@pytest.mark.parametrize("loss", RECONSTRUCTION_LOSSES.values())
def test_nothing_counted_gives_no_loss_and_no_gradient_that_is_not_finite(loss):
    output, target, counted = make_signals()
    output.requires_grad_()
    target[1], counted[1] = 0, False
    target[2] = 0  # counted, but as flat as can be
    losses = loss(output, target, counted, FS_HZ)
    losses.sum().backward()
    assert losses[1] == 0
    assert torch.isfinite(losses).all()
    assert torch.isfinite(output.grad).all()
    assert (output.grad[~counted] == 0).all()


@pytest.mark.parametrize("loss", RECONSTRUCTION_LOSSES.values())
def test_a_reconstruction_that_is_perfect_or_zero_has_a_finite_gradient(loss):
    _, target, counted = make_signals()
    for start in (target, torch.zeros_like(target)):
        output = start.clone().requires_grad_()
        loss(output, target, counted, FS_HZ).sum().backward()
        assert torch.isfinite(output.grad).all()


def test_signals_of_the_publication_have_the_published_dice_coefficient():
    time = torch.arange(2000) / 200
    sine = torch.sin(2 * torch.pi * time).expand(1, 1, -1)
    counted = torch.ones_like(sine, dtype=torch.bool)
    for output, coefficient in [(-sine, 0.0), (0.5 * sine, 2 / 3), (2 * sine, 2 / 3), (0 * sine, 0.0), (sine, 1.0)]:
        assert 1 - float(sdsc(output, sine, counted, FS_HZ)) == pytest.approx(coefficient, abs=0.01)


@pytest.mark.parametrize("loss", [sdsc, spectral])
def test_the_scale_of_a_channel_does_not_change_a_relative_loss(loss):
    output, target, counted = make_signals()
    scale = torch.tensor([[1e-3], [50.0]])
    torch.testing.assert_close(
        loss(scale * output, scale * target, counted, FS_HZ), loss(output, target, counted, FS_HZ), rtol=1e-4, atol=1e-5
    )


def test_spectra_separate_a_wrong_rate_from_a_wrong_phase():
    time = torch.arange(600) / FS_HZ
    pulse = torch.sin(2 * torch.pi * 1.2 * time).expand(1, 1, -1)
    counted = torch.ones_like(pulse, dtype=torch.bool)
    shifted, faster = torch.sin(2 * torch.pi * 1.2 * time + 1), torch.sin(2 * torch.pi * 2.0 * time)
    late, fast = (float(spectral(other.expand(1, 1, -1), pulse, counted, FS_HZ)) for other in (shifted, faster))
    assert late < fast / 3


def test_the_sign_of_a_filled_in_interval_shows_in_the_spectra_of_what_surrounds_it():
    time = torch.arange(600) / FS_HZ
    pulse = torch.sin(2 * torch.pi * 1.2 * time).expand(1, 1, -1)
    counted = torch.zeros_like(pulse, dtype=torch.bool)
    counted[..., 300:317] = True
    assert spectral(pulse, pulse, counted, FS_HZ) == 0
    assert spectral(-pulse, pulse, counted, FS_HZ) > 0.2
