"""The head of the beats: series of the right length, and a summary that finds a rhythm put into them."""

from __future__ import annotations

import math

import pytest
import torch

from ppgssl.core.config.pretraining import PatchTransformerShape, ResNet1dShape, ResNet50Shape
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.encoders.beat_head import FREQUENCIES_HZ, BeatHead, spectrum
from ppgssl.signals.beat_sequence import MEASURES

READOUTS = "moments+readouts"
SHAPES = [
    ResNet1dShape(width=8, representation=READOUTS),
    ResNet50Shape(name="resnet50-1d", width=4, n_features=8, representation=READOUTS),
    PatchTransformerShape(name="patch-transformer", width=16, n_blocks=1, n_heads=2, representation=READOUTS),
]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
@pytest.mark.parametrize(("fs_hz", "seconds"), [(40.0, 10.0), (125.0, 4.0), (80.0, 2.0)])
def test_every_encoder_gives_series_of_steps_of_a_fifth_of_a_second_or_less(shape, fs_hz, seconds):
    encoder = make_encoder(2, shape, fs_hz=fs_hz, seed=0).eval()
    segments = torch.randn(3, 2, round(fs_hz * seconds))
    with torch.no_grad():
        level, deviation = encoder.beat_head(encoder(segments))
        embeddings = encoder.embed(segments)
    assert level.shape == deviation.shape
    assert level.shape[:3] == (3, 2, len(MEASURES))
    assert encoder.beat_head.step_s < 0.3
    assert level.shape[-1] * encoder.beat_head.step_s == pytest.approx(seconds, rel=0.25)
    assert embeddings.shape == (3, encoder.embedding_dim)
    assert torch.isfinite(embeddings).all()


def test_readouts_follow_the_moments_and_change_no_weight_of_the_encoder():
    plain = make_encoder(2, ResNet1dShape(width=8, representation="moments"), fs_hz=40.0, seed=3).eval()
    encoder = make_encoder(2, SHAPES[0], fs_hz=40.0, seed=3).eval()
    segments = torch.randn(4, 2, 400)
    with torch.no_grad():
        assert torch.equal(encoder.embed(segments)[:, : plain.embedding_dim], plain.embed(segments))
        assert torch.equal(encoder.embed_moments(segments), plain.embed(segments))
        parts = torch.cat(encoder.embed_parts(segments), dim=1)
        assert torch.equal(parts, encoder.embed(segments))


def head_that_tells(level, deviation, step_s=0.2):
    """A head whose series are given, whatever its input."""
    head = BeatHead(4, level.shape[1], stride_s=step_s)
    head.forward = lambda _feature_map: (level, deviation)
    return head


def summary(head):
    return dict(zip(head.names, head.readouts(torch.zeros(1))[0].tolist(), strict=True))


def test_a_wave_of_the_interval_is_found_at_its_frequency_with_its_size_and_its_companion():
    time = 0.2 * torch.arange(50)
    level, deviation = torch.zeros(1, 2, len(MEASURES), 50), torch.zeros(1, 2, len(MEASURES), 50)
    interval, height, width = (MEASURES.index(name) for name in ("interval", "height", "width"))
    deviation[0, :, interval] = 2 * torch.sin(2 * math.pi * 0.4 * time)
    deviation[0, :, height] = 3 * torch.sin(2 * math.pi * 0.4 * time)
    deviation[0, 1, width] = 0.5 * torch.sin(2 * math.pi * 0.4 * time)
    level[0, 1, width] = 0.7
    found = summary(head_that_tells(level, deviation))
    assert math.exp(found["interval_log_sd"]) == pytest.approx(2 / math.sqrt(2), rel=0.01)
    step = 2 * math.sin(math.pi * 0.4 * 0.2)  # root mean square of the differences of a sine of that many steps a turn
    assert math.exp(found["interval_log_rmssd"]) == pytest.approx(2 * step / math.sqrt(2), rel=0.02)
    power = {frequency: found[f"interval_log_power_{frequency:.1f}_hz"] for frequency in FREQUENCIES_HZ}
    assert max(power, key=power.get) == 0.4
    assert power[0.4] - power[0.9] > 5
    assert found["interval_with_height_in_phase"] == pytest.approx(1, abs=0.01)
    assert found["interval_with_height_quadrature"] == pytest.approx(0, abs=0.01)
    assert found["channel_1_width_mean"] == pytest.approx(0.7)
    assert math.exp(found["channel_1_width_log_sd"]) == pytest.approx(0.5 / math.sqrt(2), rel=0.01)
    assert "channel_0_ratio_mean" not in found


def test_a_height_a_quarter_of_a_cycle_behind_is_in_quadrature():
    time = 0.2 * torch.arange(50)
    deviation = torch.zeros(1, 1, len(MEASURES), 50)
    deviation[0, 0, 0] = torch.sin(2 * math.pi * 0.4 * time)
    deviation[0, 0, 1] = torch.cos(2 * math.pi * 0.4 * time)
    found = summary(head_that_tells(torch.zeros_like(deviation), deviation))
    assert abs(found["interval_with_height_quadrature"]) == pytest.approx(1, abs=0.02)
    assert found["interval_with_height_in_phase"] == pytest.approx(0, abs=0.02)


def test_the_spectrum_is_the_fourier_sum_for_any_length():
    series = torch.randn(2, 3, 31)
    found = spectrum(series, 0.25)
    time, window = torch.arange(1, 32), torch.hann_window(31)
    for number, frequency in enumerate(FREQUENCIES_HZ):
        turn = torch.exp(2j * math.pi * frequency * 0.25 * time)
        expected = (series * window * turn).sum(dim=-1)
        # The window's ends lie half a step apart from torch's.
        torch.testing.assert_close(torch.complex(*found[:, :, number].unbind(-1)), expected, rtol=0.5, atol=0.6)


def test_one_step_of_time_has_a_finite_summary():
    level = torch.zeros(1, 1, len(MEASURES), 1)
    assert all(map(math.isfinite, summary(head_that_tells(level, level)).values()))
