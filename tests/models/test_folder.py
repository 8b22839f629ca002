import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ppgssl.core import provenance
from ppgssl.core.errors import StoreError
from ppgssl.core.provenance import file_sha256
from ppgssl.features.segment_encoder import SegmentEncoder
from ppgssl.models import folder as model_folder
from ppgssl.models.fitted import check_embedding
from ppgssl.models.folder import load_model, save_model

FILES = ["model.json", "model_card.md", "classifier.safetensors", "encoder/model.json", "encoder/encoder.safetensors"]


@pytest.fixture(scope="module")
def made(hospital_model) -> Path:
    return hospital_model.folder


@pytest.fixture
def model(made, tmp_path) -> Path:
    """A copy somewhere else, as after a move to another machine."""
    return Path(shutil.copytree(made, tmp_path / "elsewhere" / "model"))


def resign(folder: Path) -> None:
    """Checksums of what is there now, as somebody would write them who changed a file on purpose."""
    (folder / "SHA256SUMS").write_text("".join(f"{file_sha256(folder / name)}  {name}\n" for name in FILES))


def test_a_folder_holds_plain_files_and_no_path_of_the_machine_it_was_made_on(model, made):
    assert sorted(str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()) == sorted(
        [*FILES, "SHA256SUMS"]
    )
    for path in model.rglob("*"):
        if path.is_file():
            assert str(made.parent).encode() not in path.read_bytes()
            assert not path.read_bytes().startswith(b"\x80")  # as every pickle does


def test_a_moved_model_is_the_same_model(model, made):
    here, there = load_model(model), load_model(made)
    assert here.card == there.card
    assert here.fingerprint == there.fingerprint
    assert here.warnings == ()
    for name, values in there.model.to_arrays().items():
        np.testing.assert_array_equal(here.model.to_arrays()[name], values)


def test_the_checksums_are_those_of_sha256sum(model):
    done = subprocess.run(
        ["sha256sum", "-c", "--strict", "SHA256SUMS"], cwd=model, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_byte_and_a_missing_file_are_found(model, name):
    content = bytearray((model / name).read_bytes())
    content[len(content) // 2] ^= 1
    (model / name).write_bytes(bytes(content))
    with pytest.raises(StoreError, match=f"{name} is not the file that was written.*Copy the folder again"):
        load_model(model)
    (model / name).unlink()
    with pytest.raises(StoreError, match=f"{name} is missing"):
        load_model(model)


def test_without_checksums_there_is_no_model(model, tmp_path):
    (model / "SHA256SUMS").unlink()
    for place in (model, tmp_path / "nowhere"):
        with pytest.raises(StoreError, match=r"there is no model in .*ppgssl fit"):
            load_model(place)


@pytest.mark.parametrize("line", ["0" * 64 + "  ../../secrets", "0" * 64 + "  /etc/passwd", "no checksum at all"])
def test_a_list_of_other_files_is_refused_and_they_are_not_read(model, line):
    with (model / "SHA256SUMS").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(StoreError, match="does not list the files of a model"):
        load_model(model)


def test_a_model_without_its_encoder_is_not_whole(model):
    shutil.rmtree(model / "encoder")
    lines = (model / "SHA256SUMS").read_text().splitlines()
    (model / "SHA256SUMS").write_text("\n".join(line for line in lines if "encoder" not in line))
    with pytest.raises(StoreError, match="needs its encoder"):
        load_model(model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 3}, r"a model of format 3, and this ppgssl .* reads format 2"),
        ({"colour": "blue"}, r"not a model of this version \(colour: .*install the ppgssl that made it"),
    ],
)
def test_a_card_of_another_format_or_version_is_explained(model, change, message):
    card = json.loads((model / "model.json").read_text())
    (model / "model.json").write_text(json.dumps({**card, **change}))
    resign(model)
    with pytest.raises(StoreError, match=message):
        load_model(model)


def test_other_software_is_a_warning_that_names_both_versions(model):
    card = json.loads((model / "model.json").read_text())
    card["versions"]["torch"] = "1.0"
    (model / "model.json").write_text(json.dumps(card))
    resign(model)
    loaded = load_model(model)
    assert len(loaded.warnings) == 1
    assert "made with torch 1.0, and here is torch 2" in loaded.warnings[0]
    assert loaded.encoder is not None  # it computes the same, so it may be used


def test_an_encoder_that_computes_something_else_is_not_used(model):
    loaded = load_model(model)
    other = loaded.card.model_copy(update={"check": [value + 0.5 for value in loaded.card.check]})
    with pytest.raises(StoreError, match="does not compute here what it computed where it was made"):
        _ = replace(loaded, card=other).encoder


def test_numbers_that_do_not_fit_are_refused_even_with_right_checksums(model):
    arrays = load_file(model / "classifier.safetensors")
    for name in ("model.part.0.model.0.slopes", "refits.part.0.slope"):
        save_file({**arrays, name: arrays[name][..., 1:].copy()}, model / "classifier.safetensors")
        resign(model)
        with pytest.raises(StoreError, match="do not fit its columns"):
            load_model(model)
        save_file({key: one for key, one in arrays.items() if key != name}, model / "classifier.safetensors")
        resign(model)
        with pytest.raises(StoreError, match="not complete"):
            load_model(model)
    save_file(arrays, model / "classifier.safetensors")
    card = (model / "model.json").read_text()
    (model / "model.json").write_text(card.replace('"learner": "ridge"', '"learner": "horseshoe"'))
    resign(model)
    with pytest.raises(StoreError, match="they lack"):
        load_model(model)
    (model / "model.json").write_text(card)
    (model / "classifier.safetensors").write_bytes(b"\x80\x04not safetensors")
    resign(model)
    with pytest.raises(StoreError, match="cannot read"):
        load_model(model)


def test_the_encoder_of_a_model_can_be_used_by_itself_and_its_check_depends_on_nothing(model):
    loaded = load_model(model)
    embeddings = SegmentEncoder.from_folder(model / "encoder").embed(np.sin(np.linspace(0, 60, 1000)) + 50, fs_hz=50)
    assert embeddings.shape[1] == len(loaded.card.columns.features)
    assert check_embedding(loaded.encoder, loaded.card.input) == pytest.approx(loaded.card.check, abs=1e-6)


def test_a_folder_with_other_files_is_not_overwritten(model, tmp_path):
    loaded = load_model(model)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(StoreError, match=r"holds other files than a model \(thesis.txt\)"):
        save_model(tmp_path / "notes", loaded, "")
    assert (tmp_path / "notes" / "thesis.txt").exists()


def test_a_model_that_was_not_written_to_its_end_is_none(model, monkeypatch):
    loaded = load_model(model)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(model_folder, "write_atomically", stop)
    with pytest.raises(KeyboardInterrupt):
        save_model(model, loaded, "")
    with pytest.raises(StoreError, match="there is no model"):
        load_model(model)
    assert provenance.write_atomically is not stop
