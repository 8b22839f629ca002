"""Segments are prepared in one way, whether their samples are in memory or in a file, and at bounded memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.loading import load_study
from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
from ppgssl.core.errors import ConfigError, TrainingError
from ppgssl.features.embeddings import embed
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.input_description import InputDescription, describe_study_input, segment_bank, study_bank
from ppgssl.selfsupervised.loop import pretrain
from ppgssl.store.samples import SamplesFile
from ppgssl.store.study_data import StudyData, load_study_data
from tests.conftest import REPOSITORY
from tests.support.small_cohorts import describe_study
from tests.support.stored_cohorts import FS_HZ, random_store

# In no order of names, so that blocks and the study's numbering of samples disagree.
COMMITS = [["p3_1", "p1_1"], ["p2_1", "p5_1", "p4_2"], ["p4_1"], ["p6_1", "p1_2"]]
INPUTS = [{"name": "red", "any_of": ["ppg_red"], "optional": True}, {"name": "ir", "any_of": ["ppg_ir"]}]
NORMALISATIONS = ["segment", "cohort", "ac_dc", "fixed"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A labelled cohort of two channels, and an unlabelled one of infrared alone."""
    folder = tmp_path_factory.mktemp("study")
    random_store(folder / "ward", COMMITS, channels=("ppg_red", "ppg_ir"))
    random_store(folder / "other", COMMITS[:2])
    return folder


def load(folder, **changes: object) -> StudyData:
    stores = [{"store": "ward", "role": "labelled"}, {"store": "other", "role": "unlabelled"}]
    fixed = {"red": [0.3, 0.09], "ir": [0.6, 0.13]}
    plain = {
        "inputs__channels": INPUTS,
        "inputs__fixed": fixed,
        "cohorts": stores,
        "covariates": [],
        "arms": ["ssl-all"],
    }
    path = describe_study(folder, **(plain | changes))
    return load_study_data(load_study(path), path, folder / "out")


def banks(folder, normalisation: str = "segment") -> tuple[SegmentBank, SegmentBank]:
    """Of all segments: samples in memory, and in a file."""
    found = []
    for memory_gb in (1.0, 25e-6):
        data = load(folder, inputs__normalisation=normalisation, inputs__memory_gb=memory_gb)
        found.append(bank_of(data, np.ones(len(data.segments.start), dtype=bool)))
    resident, on_disk = found
    assert isinstance(resident.samples, torch.Tensor)
    assert isinstance(on_disk.samples, SamplesFile)
    return resident, on_disk


def bank_of(data: StudyData, is_training: np.ndarray) -> SegmentBank:
    return study_bank(data, describe_study_input(data, is_training))


@pytest.fixture(scope="module")
def pair(folder):
    return banks(folder)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_segments_from_a_file_equal_resident_ones_in_each_normalisation(folder, normalisation):
    resident, on_disk = banks(folder, normalisation)
    index = torch.arange(len(resident))
    assert torch.equal(on_disk.gather(index), resident.gather(index))
    assert (on_disk.n_channels, on_disk.length, len(on_disk)) == (2, 200, 65)
    assert on_disk.sha256() == resident.sha256()


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_a_channel_that_a_cohort_lacks_is_exactly_zero(folder, normalisation):
    data = load(folder, inputs__normalisation=normalisation)
    segments = bank_of(data, np.ones(65, bool)).gather(torch.arange(65))
    is_other = torch.from_numpy(~data.is_labelled_cohort())
    assert is_other.sum() == 25
    assert (segments[is_other, 0] == 0).all()
    assert (segments[is_other, 1].std(dim=-1) > 0).all()
    assert (segments[~is_other].std(dim=-1) > 0).all()


@given(numbers=st.lists(st.integers(0, 64), min_size=1, max_size=20), is_paired=st.booleans())
def test_segments_from_a_file_equal_resident_ones_whatever_is_asked_for(pair, numbers, is_paired):
    resident, on_disk = pair
    index = torch.tensor(numbers)
    index = torch.stack([index, index.flip(0)], dim=1) if is_paired else index
    assert torch.equal(on_disk.gather(index), resident.gather(index))


def test_the_hash_follows_normalisation_and_starts(pair):
    _, on_disk = pair
    parts = {"starts": on_disk.starts, "offset": on_disk.offset, "scale": on_disk.scale}
    for name, values in parts.items():
        changed = parts | {name: values.flip(0)}
        other = SegmentBank(on_disk.samples, length=200, samples_sha256=on_disk._samples_sha256, **changed)
        assert other.sha256() != on_disk.sha256()


def test_segments_that_reach_beyond_the_file_are_refused(pair):
    _, on_disk = pair
    with pytest.raises(TrainingError, match="reach beyond the 7800 samples"):
        SegmentBank(on_disk.samples, on_disk.starts + 100, 200, on_disk.offset, on_disk.scale, samples_sha256="")


def test_pretraining_and_embedding_from_a_file_give_the_same_numbers(pair, tmp_path):
    shape = ResNet1dShape(width=4, n_stages=1)
    plan = Pretraining(objective="masked-autoencoder", n_steps=6, batch_size=16, evaluate_every=3, encoder=shape)
    train, validation = np.arange(50), np.arange(50, 65)
    runs = [
        pretrain(bank, train, validation, plan, fs_hz=FS_HZ, seed=1, folder=tmp_path / str(number))
        for number, bank in enumerate(pair)
    ]
    assert runs[0].history == runs[1].history
    embeddings = [embed(runs[0].encoder, bank, np.arange(65)) for bank in pair]
    np.testing.assert_array_equal(*embeddings)


def test_constants_are_fitted_to_training_segments_and_used_wherever_a_cohort_comes_from(folder):
    data = load(folder, inputs__normalisation="cohort")
    is_ward = data.is_labelled_cohort()
    is_training = ~is_ward | data.of_patients(["ward/p1", "ward/p2"])
    description = describe_study_input(data, is_training)
    again = InputDescription.model_validate_json(description.model_dump_json())  # as a folder keeps it
    own = study_bank(data, again).gather(torch.arange(65))
    trained = own[torch.from_numpy(is_training & is_ward)].double()
    torch.testing.assert_close(trained.mean(dim=(0, 2)), torch.zeros(2).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(trained.std(dim=(0, 2), correction=0), torch.ones(2).double(), atol=1e-5, rtol=0)
    # Another hospital's segments get the constants of the labelled cohort.
    other = data.segments.only(~is_ward)
    bank = segment_bank(other, again)
    assert (bank.offset[:, 1] == again.cohorts["ward"].offset[1]).all()
    assert (bank.scale[:, 0] == 1).all()  # a channel that it lacks
    assert not torch.equal(bank.gather([0]), segment_bank(other, again, "other").gather([0]))
    with pytest.raises(ConfigError, match="knows no cohort 'home'"):
        segment_bank(other, again, "home")


_CHILD = """
    import json, re, sys
    from pathlib import Path

    import numpy as np
    import torch

    from ppgssl.core.config.loading import load_study
    from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
    from ppgssl.features.embeddings import embed
    from ppgssl.selfsupervised.input_description import describe_study_input, study_bank
    from ppgssl.selfsupervised.loop import pretrain
    from ppgssl.store.study_data import load_study_data

    def peak_mb():
        return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1000

    def use(study):
        data = load_study_data(load_study(study), study, study.parent)
        bank = study_bank(data, describe_study_input(data, np.ones(len(data.segments.start), dtype=bool)))
        index = np.arange(len(bank))
        shape = ResNet1dShape(width=4, n_stages=1)
        plan = Pretraining(
            objective="masked-autoencoder", n_steps=8, batch_size=32, evaluate_every=4, encoder=shape
        )
        folder = study.parent / "encoder"
        result = pretrain(bank, index[::2], index[1::2], plan, fs_hz=50, seed=1, folder=folder)
        embed(result.encoder, bank, index)
        return {"samples": type(bank.samples).__name__, "samples_mb": 4 * np.prod(data.segments.samples.shape) / 1e6}

    torch.set_num_threads(1)
    small, large = map(Path, sys.argv[1:])
    use(small)
    before = peak_mb()
    found = use(large)
    print(json.dumps(found | {"more_mb": peak_mb() - before}))
"""


def write_study(folder, n_recordings: int) -> None:
    """Of one cohort; ten recordings of 20 minutes make a block."""
    folder.mkdir(parents=True)
    names = [f"p{number}_1" for number in range(n_recordings)]
    random_store(folder / "ward", [names[i : i + 10] for i in range(0, n_recordings, 10)], seconds=1200.0, step_s=60.0)


def start(folder, memory_gb: float) -> subprocess.Popen[str]:
    """A process that reports what a large study takes on top of a small one."""
    stores = [{"store": "ward", "role": "labelled"}]
    changes = {"cohorts": stores, "covariates": [], "arms": ["ssl-all"], "inputs__step_s": 60.0}
    studies = [
        str(describe_study(folder / size, **changes, inputs__memory_gb=memory_gb)) for size in ("small", "large")
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(_CHILD), *studies]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, float]:
    printed, complaint = process.communicate()
    assert process.returncode == 0, complaint
    return json.loads(printed)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is read from Linux's /proc")
def test_a_study_several_times_the_memory_is_pretrained_on_with_bounded_memory(tmp_path):
    write_study(tmp_path / "studies" / "small", 20)
    write_study(tmp_path / "studies" / "large", 200)
    for name in ("streamed", "resident"):
        shutil.copytree(tmp_path / "studies", tmp_path / name)
    processes = [start(tmp_path / "streamed", 0.01), start(tmp_path / "resident", 1.0)]
    streamed, resident = map(finish, processes)
    assert (streamed["samples"], resident["samples"]) == ("SamplesFile", "Tensor")
    assert streamed["samples_mb"] == resident["samples_mb"] == pytest.approx(48)
    assert resident["more_mb"] > 48
    assert streamed["more_mb"] < 24
