"""The registry of readers."""

from __future__ import annotations

import pytest

from ppgssl.core.errors import ConfigError
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
    with pytest.raises(
        ConfigError,
        match=r"'delimitted' \(did you mean 'delimited'\?\); known: arrays, .*wfdb",
    ):
        get_reader("delimitted")
