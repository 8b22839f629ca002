"""The registry of readers."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.readers import READERS, get_reader


@pytest.mark.parametrize("name", READERS)
def test_every_reader_has_options_with_defaults(name):
    assert get_reader(name).parse_options({}) == READERS[name].options_model()


@pytest.mark.parametrize("name", READERS)
def test_an_unknown_option_is_refused_with_the_nearest_spelling(name):
    known = next(iter(READERS[name].options_model.model_fields))
    with pytest.raises(ConfigError, match=f"unknown key `{known}s` .did you mean '{known}'"):
        get_reader(name).parse_options({f"{known}s": 1})


def test_all_wrong_options_are_listed_at_once():
    with pytest.raises(ConfigError) as caught:
        get_reader("delimited").parse_options({"layout": "rows", "skip_rows": -1})
    assert len(caught.value.problems) == 2


def test_an_unknown_reader_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'delimitted' \(did you mean 'delimited'\?\); known: arrays, .*wfdb"):
        get_reader("delimitted")


ENDINGS = {"arrays": ".npy", "wfdb": ".hea"}


@pytest.mark.parametrize("name", READERS)
def test_what_is_no_plain_file_is_refused_by_every_reader(name, tmp_path):
    gone, folder, pipe, empty, null = (f"{tmp_path}/{kind}{ENDINGS.get(name, '')}" for kind in ("gone", *"fpe", "a\0b"))
    os.mkdir(folder)
    os.mkfifo(pipe)
    Path(empty).touch()
    words = {gone: "no such file", folder: "a folder", pipe: "a pipe", empty: "is empty", null: "cannot be read"}
    for path, expected in words.items():
        with pytest.raises(ReadError, match=expected):
            get_reader(name).open(Path(path), [0], 50.0, get_reader(name).parse_options({}))


@pytest.mark.parametrize("name", set(READERS) - {"edf", "wfdb"})
def test_a_missing_sampling_rate_is_asked_for(name, tmp_path):
    with pytest.raises(ConfigError, match=r"signals\.fs_hz"):
        get_reader(name).open(tmp_path / "a.npy", [0], None, get_reader(name).parse_options({}))
