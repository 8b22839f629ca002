"""The first weights of a pretraining: by chance, or those of an encoder that comes with ppgssl or lies in a folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from torch import Tensor

from ppgssl.core.config.pretraining import BASE, RANDOM, Pretraining
from ppgssl.core.errors import ConfigError, StaleInputError
from ppgssl.core.provenance import read_run
from ppgssl.selfsupervised.encoder_io import load_encoder, read_model
from ppgssl.selfsupervised.encoders.base import EncoderNetwork
from ppgssl.selfsupervised.input_description import input_channels, load_input_description
from ppgssl.store.leakage import check_no_leakage, hashed_patient
from ppgssl.store.linked_patients import held_signals
from ppgssl.store.study_data import StudyData
from ppgssl.store.tables import CohortStore

_HEAD = "beat_head."


def init_folder(settings: Pretraining) -> Path | None:
    """Folder of the encoder that a pretraining starts from; None where chance decides."""
    if settings.init == RANDOM:
        return None
    if settings.init == BASE:
        return Path(str(files("ppgssl.selfsupervised").joinpath("base_encoder")))
    return Path(settings.init)


def decisive_settings(settings: Pretraining) -> dict[str, Any]:
    """What decides an encoder's weights, as JSON values: of first weights the hash, wherever they lie."""
    folder = init_folder(settings)
    init = RANDOM if folder is None else read_model(folder)["weights_sha256"]
    return settings.model_dump(mode="json") | {"init": init}


# --- weights ---------------------------------------------------------------------------------------------------


def start_from(encoder: EncoderNetwork, folder: Path) -> None:
    """Give an encoder the weights of the one in ``folder``; of the head of the beats, too, where both have one.

    Weights of one channel serve any number of channels: each channel gets them, divided by their number in the first
    layer, so that equal channels give the feature maps of one. The head's predictions start alike in all channels.

    Raises
    ------
    ConfigError
        If the encoders differ in network, size, sampling rate or number of channels.
    StoreError
        If there is no encoder, or it is damaged.
    """
    start = load_encoder(folder)
    found, wanted = (one.shape.model_dump(exclude={"representation"}) for one in (start, encoder))
    if found != wanted:
        raise ConfigError(
            f"`pretraining.init`: the encoder in {folder} is {_words(found)}, and `pretraining.encoder` is "
            f"{_words(wanted)}: change `pretraining.encoder`, or start from `init: random`"
        )
    if start.fs_hz != encoder.fs_hz:
        raise _differs(folder, "fs_hz", f"{start.fs_hz:g}", f"{encoder.fs_hz:g}")
    if start.n_channels not in (1, encoder.n_channels):
        raise ConfigError(
            f"`pretraining.init`: the encoder in {folder} has {start.n_channels} channels, and this one has "
            f"{encoder.n_channels}: give both the same channels, or start from an encoder of one channel"
        )
    own = encoder.state_dict()
    given = {name: values for name, values in start.state_dict().items() if name in own}
    encoder.load_state_dict(own | {name: _of_channels(name, values, own[name]) for name, values in given.items()})


def _of_channels(name: str, values: Tensor, like: Tensor) -> Tensor:
    """Weights of one channel for as many as ``like`` has: inputs of the first layer, outputs of the head."""
    if values.shape == like.shape:
        return values
    axis = 0 if name.startswith(_HEAD) else 1
    n = like.shape[axis] // values.shape[axis]
    repeats = [n if number == axis else 1 for number in range(values.ndim)]
    return values.repeat(repeats) / (1 if axis == 0 else n)


def _words(shape: dict[str, Any]) -> str:
    return f"{shape['name']} ({', '.join(f'{key} {value}' for key, value in shape.items() if key != 'name')})"


# --- a study ---------------------------------------------------------------------------------------------------


def check_init(data: StudyData, tested: Collection[str]) -> None:
    """Refuse first weights that were trained on other signals than a study's, or on patients who are tested.

    Raises
    ------
    ConfigError
        If normalisation, pass band or channels are not those of the first weights.
    LeakageError
        If they have seen some of the ``tested`` patients; up to five are named.
    """
    settings = data.study.pretraining
    folder = init_folder(settings)
    if folder is None:
        return
    given, channels = load_input_description(folder), input_channels(data)
    if given.normalisation != data.study.inputs.normalisation:
        raise _differs(folder, "normalisation", given.normalisation, data.study.inputs.normalisation)
    if len(given.channels) > 1 and given.channel_names != [one.name for one in channels]:
        names = ", ".join(one.name for one in channels)
        raise _differs(folder, "channels", ", ".join(given.channel_names), names)
    for number, channel in enumerate(channels):
        start = given.channels[number if len(given.channels) > 1 else 0]
        if channel.band_hz != start.band_hz:
            (low, high), (own_low, own_high) = start.band_hz, channel.band_hz
            raise ConfigError(
                f"`pretraining.init`: the encoder in {folder} was trained on signals of {low:g} to {high:g} Hz, and "
                f"channel {channel.name!r} has {own_low:g} to {own_high:g} Hz: leave it out, or start from "
                "`init: random`"
            )
    seen, _ = seen_by_init(settings, data.stores)
    shared = [name for name in tested if hashed_patient(name) in seen]
    check_no_leakage(tested, shared, f"the encoder that `pretraining.init: {settings.init}` starts from")


def seen_by_init(settings: Pretraining, stores: Sequence[CohortStore]) -> tuple[set[str], set[str]]:
    """Hashes of the patients and of the recordings that first weights have seen; none where chance decides.

    Patients of these stores count as seen if they hold such a recording, whatever they and their cohort are called.
    """
    folder = init_folder(settings)
    if folder is None:
        return set(), set()
    run = read_run(folder) or {}
    if not run.get("patients_sha256"):
        raise StaleInputError(
            f"`pretraining.init`: {folder} does not record which patients its encoder has seen: take the folder of an "
            "encoder that `ppgssl pretrain` made, with its run.json"
        )
    patients, signals = set(run["patients_sha256"]), set(run.get("signals_sha256", ()))
    for store in stores:
        held = held_signals(store)
        patients |= set(map(hashed_patient, held.loc[held["signal_sha256"].isin(signals), "patient"]))
    return patients, signals


def _differs(folder: Path, key: str, found: str, wanted: str) -> ConfigError:
    return ConfigError(
        f"`pretraining.init`: the encoder in {folder} was trained with `inputs.{key}` {found}, and this study has "
        f"{wanted}: set it to that, or start from `init: random`"
    )
