"""The key: where it is read, and what is refused or warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from ppgssl.core.config.cohort import PseudonymKey
from ppgssl.core.errors import ConfigError
from ppgssl.readers.privacy.secret_key import MIN_KEY_BYTES, key_warnings, load_key

KEY = "2f5f0c6f1bd24c0e9f6f8f1d7a3e5b90"


def key_file(folder: Path, content: str = KEY, name: str = "key") -> PseudonymKey:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(content)
    (folder / name).chmod(0o600)
    return PseudonymKey(key_file=str(folder / name))


def test_a_file_and_a_variable_with_the_same_text_hold_the_same_key(tmp_path, monkeypatch):
    monkeypatch.setenv("WARD_KEY", KEY)
    from_file = load_key(key_file(tmp_path, KEY + "\r\n"), tmp_path / "cohort.yaml")
    assert from_file == load_key(PseudonymKey(key_env="WARD_KEY"), tmp_path / "cohort.yaml") == KEY.encode()


def test_a_relative_path_begins_where_the_description_lies(tmp_path):
    key_file(tmp_path / "secrets")
    assert load_key(PseudonymKey(key_file="../secrets/key"), tmp_path / "cohorts" / "cohort.yaml") == KEY.encode()


@pytest.mark.parametrize("content", ["", "sesame", KEY[: MIN_KEY_BYTES - 1] + "\n\n", "ab" * MIN_KEY_BYTES])
def test_a_key_that_can_be_guessed_is_refused_and_not_shown(tmp_path, content):
    with pytest.raises(ConfigError, match="openssl rand") as caught:
        load_key(key_file(tmp_path / "k", content), tmp_path / "cohort.yaml")
    assert not content.strip() or content.strip() not in str(caught.value)


def test_an_absent_key_is_named_with_its_place(tmp_path, monkeypatch):
    monkeypatch.delenv("WARD_KEY", raising=False)
    with pytest.raises(ConfigError, match="variable WARD_KEY is not set"):
        load_key(PseudonymKey(key_env="WARD_KEY"), tmp_path / "cohort.yaml")
    with pytest.raises(ConfigError, match=f"there is no file {tmp_path / 'key'}"):
        load_key(PseudonymKey(key_file="key"), tmp_path / "cohort.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_key(PseudonymKey(key_file="."), tmp_path / "cohort.yaml")


def test_one_place_is_given_and_not_two():
    for places in ({}, {"key_file": "key", "key_env": "KEY"}):
        with pytest.raises(ValueError, match="needs one of `key_file`"):
            PseudonymKey(**places)


def test_a_key_with_the_data_or_open_to_others_is_warned_of(tmp_path):
    folders = [("the folder of the raw files", tmp_path / "raw"), ("the store", tmp_path / "store")]
    cohort_file = tmp_path / "cohort.yaml"
    assert key_warnings(key_file(tmp_path / "safe"), cohort_file, folders) == ()
    assert key_warnings(PseudonymKey(key_env="KEY"), cohort_file, folders) == ()
    (raw,) = key_warnings(key_file(tmp_path / "raw" / "deep"), cohort_file, folders)
    assert "lies in the folder of the raw files" in raw
    place = key_file(tmp_path / "store")
    (tmp_path / "store" / "key").chmod(0o644)
    beside, is_open = key_warnings(place, cohort_file, folders)
    assert "lies in the store" in beside
    assert "chmod 600" in is_open


def test_a_link_to_a_key_elsewhere_is_not_with_the_data(tmp_path):
    key_file(tmp_path / "safe")
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "key").symlink_to(tmp_path / "safe" / "key")
    place = PseudonymKey(key_file="raw/key")
    assert key_warnings(place, tmp_path / "cohort.yaml", [("the folder of the raw files", tmp_path / "raw")]) == ()
