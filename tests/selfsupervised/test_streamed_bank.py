"""Streamed segments equal resident ones, at bounded memory."""

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
from hypothesis import given, settings
from hypothesis import strategies as st

from ppgssl.core.config.loading import load_study
from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
from ppgssl.core.errors import StoreError, TrainingError
from ppgssl.features.embeddings import embed
from ppgssl.selfsupervised.bank import SegmentBank
from ppgssl.selfsupervised.encoders import make_encoder
from ppgssl.selfsupervised.loop import pretrain
from ppgssl.selfsupervised.streamed_bank import StreamedBank, make_bank
from ppgssl.selfsupervised.study_encoders import study_bank
from ppgssl.store.streaming import StreamedSamples
from ppgssl.store.study_data import StudyData, load_study_data
from tests.conftest import REPOSITORY
from tests.support.small_cohorts import describe_study
from tests.support.stored_cohorts import FS_HZ, random_store

# In no order of names, so that blocks and the study's numbering of samples disagree.
COMMITS = [["p3_1", "p1_1"], ["p2_1", "p5_1", "p4_2"], ["p4_1"], ["p6_1", "p1_2"]]
INPUTS = [{"name": "red", "any_of": ["ppg_red"], "optional": True}, {"name": "ir", "any_of": ["ppg_ir"]}]
NORMALISATIONS = ["segment", "cohort", "ac_dc", "fixed"]


@pytest.fixture(autouse=True)
def one_thread():
    """The same number of threads in every run, or else sums are added up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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


def banks(folder, normalisation: str = "segment") -> tuple[SegmentBank, StreamedBank]:
    """Of all segments; the streamed one has memory for the largest block, and for three segments beside it."""
    found = []
    for memory_gb in (1.0, 25e-6):
        data = load(folder, inputs__normalisation=normalisation, inputs__memory_gb=memory_gb)
        found.append(study_bank(data, np.ones(len(data.segments.table), dtype=bool)))
    resident, streamed = found
    assert type(resident) is SegmentBank
    assert isinstance(streamed, StreamedBank)
    return resident, streamed


@pytest.fixture(scope="module")
def pair(folder):
    return banks(folder)


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_streamed_segments_equal_resident_ones_in_each_normalisation(folder, normalisation):
    resident, streamed = banks(folder, normalisation)
    index = torch.arange(len(resident))
    assert torch.equal(streamed.gather(index), resident.gather(index))
    assert (streamed.n_channels, streamed.length, len(streamed)) == (2, 200, 65)
    assert streamed.sha256() == resident.sha256()


@pytest.mark.parametrize("normalisation", NORMALISATIONS)
def test_a_channel_that_a_cohort_lacks_is_exactly_zero(folder, normalisation):
    data = load(folder, inputs__normalisation=normalisation)
    segments = study_bank(data, data.is_labelled_cohort() if normalisation != "cohort" else np.ones(65, bool)).gather(
        torch.arange(65)
    )
    is_other = torch.from_numpy(~data.is_labelled_cohort())
    assert is_other.sum() == 25
    assert (segments[is_other, 0] == 0).all()
    assert (segments[is_other, 1].std(dim=-1) > 0).all()
    assert (segments[~is_other].std(dim=-1) > 0).all()


@settings(deadline=None, max_examples=40)
@given(
    numbers=st.lists(st.integers(0, 64), min_size=1, max_size=20),
    kept=st.lists(st.integers(0, 64), max_size=20),
    is_paired=st.booleans(),
)
def test_streamed_segments_equal_resident_ones_whatever_is_asked_for_and_kept(pair, numbers, kept, is_paired):
    resident, streamed = pair
    index = torch.tensor(numbers)
    index = torch.stack([index, index.flip(0)], dim=1) if is_paired else index
    streamed.keep(torch.tensor(kept, dtype=torch.int64))
    assert torch.equal(streamed.gather(index), resident.gather(index))


def test_kept_segments_are_not_read_again(pair):
    resident, streamed = pair
    streamed.keep([1, 20, 40])
    files = sorted({block.file for block in streamed.streamed.blocks})
    streamed.streamed.segments(streamed.starts.numpy()[60:], 200)  # The last blocks take the place of the others.
    for file in files:
        file.rename(file.with_suffix(".away"))
    try:
        assert torch.equal(streamed.gather([40, 1, 1]), resident.gather([40, 1, 1]))
        with pytest.raises(StoreError, match="cannot read"):
            streamed.gather([2])
    finally:
        for file in files:
            file.with_suffix(".away").rename(file)


def test_more_segments_than_there_is_room_for_are_not_kept(pair):
    resident, streamed = pair
    before = streamed.streamed.held_bytes
    streamed.keep(range(65))
    assert streamed._kept_segments.numel() == 0
    assert streamed.streamed.held_bytes == before
    assert torch.equal(streamed.gather([3, 64]), resident.gather([3, 64]))


def test_locality_tells_the_block_of_each_segment(pair):
    _, streamed = pair
    where = streamed.locality
    assert where.block.shape == (65,)
    assert where.n_bytes.sum() == 2 * 4 * streamed.streamed.shape[1]
    assert where.buffer_bytes == streamed.streamed.budget_bytes == 20_000
    samples = StreamedSamples(streamed.streamed.blocks, streamed.streamed.places, 0)
    for number in np.unique(where.block):
        samples.segments(streamed.starts.numpy()[where.block == number], 200)
        assert samples.held_bytes == where.n_bytes[number]


def test_the_hash_follows_normalisation_and_starts(pair):
    _, streamed = pair
    parts = {"starts": streamed.starts, "offset": streamed.offset, "scale": streamed.scale}
    for name, values in parts.items():
        changed = parts | {name: values.flip(0)}
        other = make_bank(streamed.streamed, length=200, samples_sha256=streamed._samples_sha256, **changed)
        assert other.sha256() != streamed.sha256()


def test_segments_that_reach_beyond_the_samples_are_refused(pair):
    _, streamed = pair
    starts = streamed.starts + 100
    with pytest.raises(TrainingError, match="reach beyond the 7800 samples"):
        StreamedBank(streamed.streamed, starts, 200, streamed.offset, streamed.scale, samples_sha256="")


class InAnyOrder(StreamedBank):
    """Asks samplers for nothing."""

    locality = None


@pytest.mark.parametrize(("kind", "buffer"), [(StreamedBank, "all"), (InAnyOrder, "one block")])
def test_pretraining_on_streamed_segments_in_the_same_order_gives_the_same_losses(pair, tmp_path, kind, buffer):
    resident, streamed = pair
    samples = streamed.streamed
    budget = int(samples.block_bytes.sum()) if buffer == "all" else 0
    samples = StreamedSamples(samples.blocks, samples.places, budget)
    bank = kind(samples, streamed.starts, 200, streamed.offset, streamed.scale, samples_sha256=streamed._samples_sha256)
    shape = ResNet1dShape(width=4, n_stages=1)
    plan = Pretraining(objective="masked-autoencoder", n_steps=12, batch_size=16, evaluate_every=6, encoder=shape)
    train, validation = np.arange(50), np.arange(50, 65)
    runs = [
        pretrain(one, train, validation, plan, fs_hz=FS_HZ, seed=1, folder=tmp_path / name)
        for name, one in (("resident", resident), ("streamed", bank))
    ]
    assert runs[0].history == runs[1].history
    encoder = make_encoder(2, shape, seed=0)
    np.testing.assert_array_equal(embed(encoder, bank, np.arange(65)), embed(encoder, resident, np.arange(65)))


# --- memory ----------------------------------------------------------------------------------------------------

_CHILD = """
    import json, re, sys
    from pathlib import Path

    import numpy as np
    import torch

    from ppgssl.core.config.loading import load_study
    from ppgssl.features.embeddings import embed
    from ppgssl.selfsupervised.study_encoders import study_bank
    from ppgssl.core.config.pretraining import Pretraining, ResNet1dShape
    from ppgssl.selfsupervised.loop import pretrain
    from ppgssl.store.study_data import load_study_data

    def peak_mb():
        return int(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1]) / 1000

    def use(study):
        data = load_study_data(load_study(study), study, study.parent)
        bank = study_bank(data, np.ones(len(data.segments.table), dtype=bool))
        index = np.arange(len(bank))
        shape = ResNet1dShape(width=4, n_stages=1)
        plan = Pretraining(
            objective="masked-autoencoder", n_steps=8, batch_size=32, evaluate_every=4, encoder=shape
        )
        folder = study.parent / type(bank).__name__
        result = pretrain(bank, index[::2], index[1::2], plan, fs_hz=50, seed=1, folder=folder)
        embed(result.encoder, bank, index)
        return {"bank": type(bank).__name__, "samples_mb": 4 * np.prod(data.segments.samples.shape) / 1e6}

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
    """A process that says what a large study takes on top of a small one to be loaded, pretrained on and embedded."""
    stores = [{"store": "ward", "role": "labelled"}]
    changes = {"cohorts": stores, "covariates": [], "arms": ["ssl-all"], "inputs__step_s": 60.0}
    studies = [
        str(describe_study(folder / size, **changes, inputs__memory_gb=memory_gb)) for size in ("small", "large")
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", textwrap.dedent(_CHILD), *studies]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> dict[str, float]:
    said, complaint = process.communicate()
    assert process.returncode == 0, complaint
    return json.loads(said)


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is read from Linux's /proc")
def test_a_study_several_times_the_memory_is_pretrained_on_with_bounded_memory(tmp_path):
    write_study(tmp_path / "studies" / "small", 20)
    write_study(tmp_path / "studies" / "large", 400)
    for name in ("streamed", "resident"):
        shutil.copytree(tmp_path / "studies", tmp_path / name)
    processes = [start(tmp_path / "streamed", 0.01), start(tmp_path / "resident", 1.0)]
    streamed, resident = map(finish, processes)
    assert (streamed["bank"], resident["bank"]) == ("StreamedBank", "SegmentBank")
    assert streamed["samples_mb"] == resident["samples_mb"] == pytest.approx(96)
    assert resident["more_mb"] > 96
    assert streamed["more_mb"] < 48
