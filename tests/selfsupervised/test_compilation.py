"""A compiled loss is the loss; and what cannot be compiled is trained as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import torch

from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
from ppgssl.selfsupervised.compilation import TrainingLoss
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.objectives import make_objective
from tests.conftest import REPOSITORY

SETTINGS = Pretraining(
    objective="masked-autoencoder",
    n_steps=5,
    batch_size=8,
    evaluate_every=5,
    compile=True,
    encoder=ResNet1dShape(width=4, n_stages=1),
)


def make_loss():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        objective = make_objective(make_encoder(1, SETTINGS.encoder, fs_hz=40.0, seed=0), SETTINGS, fs_hz=100.0)
    generator = torch.Generator().manual_seed(0)
    batch = torch.randn(8, 1, 200, generator=generator)
    return TrainingLoss(objective), batch, objective.draw(8, 200, generator)


def gradients(loss, batch, draws):
    value = loss(batch, draws)
    value.backward()
    found = {name: parameter.grad.clone() for name, parameter in loss.named_parameters()}
    loss.zero_grad()
    return value.detach(), found


def test_a_compiled_loss_has_the_same_value_and_gradients():
    plain, batch, draws = make_loss()
    compiled, *_ = make_loss()
    assert compiled.compile_or_explain(batch, draws) == ""
    assert all(parameter.grad is None for parameter in compiled.parameters())
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    (one, expected), (two, found) = gradients(plain, batch, draws), gradients(compiled, batch, draws)
    torch.testing.assert_close(two, one)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-6)


def test_without_a_compiler_training_goes_on_and_notes_it(tmp_path):
    script = """
        import sys, torch
        from pathlib import Path
        torch.set_num_threads(1)
        from tests.selfsupervised.test_compilation import SETTINGS
        from tests.selfsupervised.test_loop import run
        result = run(Path(sys.argv[1]), settings=SETTINGS)
        plain = run(Path(sys.argv[2]), settings=SETTINGS.model_copy(update={"compile": False}))
        assert result.history == plain.history
        assert plain.note == ""
        print(result.note)
    """
    without = {"CXX": "/nonexistent", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "compiled"), str(tmp_path / "plain")],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, **without},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("not compiled, and so slower (InductorError")
    assert "Traceback" not in done.stderr
