"""A fitted arm on disk: plain numbers, JSON and text, each file under its checksum. Nothing in it is code or is run.

model.json               what the model is
model_card.md            the same in words
classifier.safetensors   the numbers of the model, of its refits, and of what was fitted for its features
encoder/                 the encoder of features, as `ppgssl pretrain` keeps one: model.json, encoder.safetensors
SHA256SUMS               a checksum of each of them; `sha256sum -c SHA256SUMS` verifies it without ppgssl
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ppgssl.classifiers.factory import read_risk_model
from ppgssl.classifiers.learner import Arrays
from ppgssl.classifiers.network import NetworkRiskModel
from ppgssl.core.config.arms import parse_arm
from ppgssl.core.errors import StoreError
from ppgssl.core.provenance import file_sha256, versions, write_atomically
from ppgssl.features.random_kernels import RandomKernels
from ppgssl.features.recordings import RECORDING_FEATURES
from ppgssl.models.card import FORMAT, ModelCard
from ppgssl.models.fitted import DECISIVE_PACKAGES, ENCODER_FOLDER, FittedModel, listed_versions
from ppgssl.models.refits import read_refits
from ppgssl.selfsupervised.encoder_io import MODEL_FILE as ENCODER_FILE
from ppgssl.selfsupervised.encoder_io import WEIGHTS_FILE

CARD_FILE = "model.json"
TEXT_FILE = "model_card.md"
CLASSIFIER_FILE = "classifier.safetensors"
SUMS_FILE = "SHA256SUMS"
_ENCODER_FILES = (f"{ENCODER_FOLDER}/{ENCODER_FILE}", f"{ENCODER_FOLDER}/{WEIGHTS_FILE}")
_ALWAYS = (CARD_FILE, TEXT_FILE, CLASSIFIER_FILE)
# Names of arrays: of the model, of its refits, of what was fitted for its features; and the inverse covariance.
_MODEL, _REFITS, _FEATURES = "model.", "refits.", "features."
_PRECISION = "precision"


def save_model(folder: Path, fitted: FittedModel, text: str, *, encoder: Path | None = None) -> str:
    """Write a model into a new folder, or over a model that is there; its fingerprint.

    Raises StoreError if the folder holds other things than a model.

    ``text``: ``model_card.md``. ``encoder``: optional; folder of the encoder; its weights and its ``model.json`` are
    copied.
    """
    known = {*_ALWAYS, SUMS_FILE, ENCODER_FOLDER}
    others = sorted(item.name for item in folder.iterdir() if item.name not in known) if folder.is_dir() else []
    if others:
        raise StoreError(f"{folder} holds other files than a model ({', '.join(others[:3])}): give another --out")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMS_FILE).unlink(missing_ok=True)  # until the last file is there, this is no model
    shutil.rmtree(folder / ENCODER_FOLDER, ignore_errors=True)
    if encoder is not None:
        (folder / ENCODER_FOLDER).mkdir()
        for name in (ENCODER_FILE, WEIGHTS_FILE):
            shutil.copyfile(encoder / name, folder / ENCODER_FOLDER / name)
    arrays = {f"{_MODEL}{name}": values for name, values in fitted.model.to_arrays().items()}
    if fitted.kernels is not None:
        arrays |= {f"{_FEATURES}{name}": values for name, values in fitted.kernels.to_arrays().items()}
    if fitted.refits is not None:
        arrays |= {f"{_REFITS}{name}": values for name, values in fitted.refits.to_arrays().items()}
    if fitted.precision is not None:
        arrays[_PRECISION] = fitted.precision
    contiguous = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    write_atomically(folder / CLASSIFIER_FILE, save(contiguous))
    write_atomically(folder / CARD_FILE, fitted.card.model_dump_json(indent=1))
    write_atomically(folder / TEXT_FILE, text)
    names = [*_ALWAYS, *(_ENCODER_FILES if encoder is not None else ())]
    write_atomically(folder / SUMS_FILE, "".join(f"{file_sha256(folder / name)}  {name}\n" for name in names))
    return file_sha256(folder / SUMS_FILE)


def load_model(folder: Path) -> FittedModel:
    """Read a model; every file is compared with its checksum first.

    Raises StoreError if there is no model, a file is missing or was changed, or the model is of another format.
    """
    names = _verify(folder)
    card = _read_card(folder)
    try:
        arrays: Arrays = load_file(folder / CLASSIFIER_FILE)
    except (SafetensorError, OSError, ValueError) as error:
        raise StoreError(f"cannot read {folder / CLASSIFIER_FILE}: {error}. Copy the model again.") from None
    if card.has_encoder and not set(_ENCODER_FILES) <= names:
        raise StoreError(f"{folder}: the model needs its encoder, and {ENCODER_FOLDER}/ is not whole. Copy it again.")
    model = read_risk_model(_select(arrays, _MODEL), card.classifier)
    refits = None
    if not isinstance(model, NetworkRiskModel):
        refits = read_refits(_select(arrays, _REFITS), card.refits, model)
    kernels = _select(arrays, _FEATURES)
    return FittedModel(
        card,
        model,
        refits,
        RandomKernels.from_arrays(kernels) if kernels else None,
        arrays.get(_PRECISION),
        folder,
        file_sha256(folder / SUMS_FILE),
        tuple(_version_warnings(card)),
    )


def _select(arrays: Arrays, start: str) -> Arrays:
    """Arrays whose names start so, without that start."""
    return {name.removeprefix(start): values for name, values in arrays.items() if name.startswith(start)}


def _verify(folder: Path) -> set[str]:
    """Names of the files, all of which are what was written."""
    sums = folder / SUMS_FILE
    try:
        lines = sums.read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(
            f"there is no model in {folder}: {SUMS_FILE} is missing. Make one with: ppgssl fit STUDY.yaml --arm ARM "
            "--out MODEL; if it was copied, copy the whole folder again"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"cannot read {sums}: {error}. Copy the model again.") from None
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in lines if line.strip())}
    unknown = sorted(set(expected) - {*_ALWAYS, *_ENCODER_FILES})
    lacking = sorted(set(_ALWAYS) - set(expected))
    if unknown or lacking:
        raise StoreError(f"{sums} does not list the files of a model ({', '.join([*unknown, *lacking])})")
    for name, digest in expected.items():
        _check_file(folder, name, digest)
    return set(expected)


def _check_file(folder: Path, name: str, digest: str) -> None:
    path = folder / name
    if not path.is_file():
        raise StoreError(f"{path} is missing: the model is not whole. Copy the folder again from where it was made.")
    if file_sha256(path) != digest:
        raise StoreError(
            f"{path} is not the file that was written: its checksum is not that in {SUMS_FILE}. It was damaged or "
            "changed, and the model is not used. Copy the folder again from where it was made."
        )


def _read_card(folder: Path) -> ModelCard:
    path = folder / CARD_FILE
    content = path.read_bytes()
    try:
        card = ModelCard.model_validate_json(content)
        for parts in (card.study_model, card.cohort_model):
            parts()  # what they hold is checked where it is read
        parse_arm(card.arm)
    except ValidationError as error:
        first = error.errors()[0]
        if first["loc"] == ("format",):
            raise StoreError(
                f"{path} is a model of format {first['input']!r}, and this ppgssl ({versions().get('ppgssl')}) reads "
                f"format {FORMAT}: install the ppgssl that made it ({TEXT_FILE} names it), or fit it again"
            ) from None
        place = ".".join(map(str, first["loc"]))
        raise StoreError(
            f"{path} is not a model of this version ({place}: {first['msg']}): install the ppgssl that made it, or "
            "fit it again"
        ) from None
    except ValueError as error:
        raise StoreError(f"{path} is not a model of this version ({error}): install the ppgssl that made it") from None
    return card


def _version_warnings(card: ModelCard) -> list[str]:
    here = versions()
    is_of_recordings = bool(RECORDING_FEATURES.keys() & parse_arm(card.arm).feature_sets)
    decisive = [name for name in DECISIVE_PACKAGES if name != "neurokit2" or is_of_recordings]
    other = [name for name in decisive if card.versions.get(name) != here.get(name)]
    if not other:
        return []
    made, now = ({name: one.get(name, "none") for name in other} for one in (card.versions, here))
    return [
        f"the model was made with {listed_versions(made)}, and here is {listed_versions(now)}: the encoder is checked "
        "to compute the same, and risks may differ in the last digits"
    ]
