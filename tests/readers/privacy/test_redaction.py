"""Messages show nothing that stands in a raw file."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from ppgssl.core.config.cohort import Cohort
from ppgssl.core.errors import ConfigError, ReadError, SignalError
from ppgssl.core.text import Message
from ppgssl.readers import READERS, get_reader
from ppgssl.readers.clinical.table import read_clinical
from ppgssl.readers.privacy.redaction import HIDDEN, error_text, redacted, redacted_error

NAME, BORN, NUMBER = "Wanjiru", "2019-03-04", "40717382"
PLANTED = f"{NAME} {BORN} {NUMBER}"


def cohort(*, private: bool = False, **clinical: object) -> Cohort:
    described = {
        "name": "ward",
        "signals": {
            "files": "signals/{patient}.csv",
            "reader": "delimited",
            "channels": {"ppg_red": {"column": "red"}, "ppg_ir": {"column": "ir"}},
        },
    }
    privacy = {"privacy": {"pseudonyms": {"key_env": "KEY"}}} if private else {}
    return Cohort.model_validate(described | privacy | ({"clinical": clinical} if clinical else {}))


def test_of_a_text_without_fields_nothing_is_shown():
    for text in ("found 'Wanjiru'", "line 17", NAME, f"'{NUMBER}'", "ppg_red", ""):
        assert redacted(text, cohort()) == HIDDEN


@given(st.text())
def test_no_text_without_fields_is_shown(text):
    assert redacted(text, cohort()) == str(redacted_error(ConfigError(text), cohort())) == HIDDEN


def test_of_a_message_with_fields_its_text_and_numbers_are_shown():
    message = Message("line {line}, {name}: found {cell!r}; {found}", line=3, name="ppg_red", cell=NAME, found=[NAME])
    assert redacted(message, cohort()) == "line 3, ppg_red: found …; …"
    assert str(message) == "line 3, ppg_red: found 'Wanjiru'; Wanjiru"


def test_a_field_may_be_a_message_a_type_or_a_list():
    names = Message("{n} columns: {names}", n=2, names=["red", NAME])
    message = Message("damaged ({error}): {names}{near}", error=KeyError, names=names, near="")
    assert redacted(message, cohort()) == "damaged (KeyError): 2 columns: red, …"


@given(st.text(min_size=1), st.sampled_from(["{x}", "{x!r}", "{x:>9}", "{x!s:.3}"]))
def test_no_field_of_a_file_gets_into_the_text(text, template):
    assert redacted(Message(f"found {template}.", x=f"{text}{NAME}"), cohort()) == f"found {HIDDEN}."


def test_an_error_is_worded_with_the_names_that_files_have_for_its_reader():
    main, other, unknown = Path("/data/Wanjiru.csv"), Path("/data/Wanjiru_trends.csv"), Path("/data/Wanjiru.dat")
    places = {main: "signals/pabc.csv", other: "trends/pabc.csv"}
    texts = {}
    for path in (main, other, unknown):
        error = ReadError(path, "line {line}: {cell!r}", line=3, cell=NAME)
        assert str(error) == f"{path}: line 3: 'Wanjiru'"
        texts[path] = [error_text(error, places, cohort(private=private)) for private in (False, True)]
    assert texts[main] == ["line 3: 'Wanjiru'", "line 3: …"]
    assert texts[other] == ["trends/pabc.csv: line 3: 'Wanjiru'", "trends/pabc.csv: line 3: …"]
    assert texts[unknown] == [f"{unknown}: line 3: 'Wanjiru'", "…: line 3: …"]


@pytest.mark.parametrize("error", [OSError(5, PLANTED, f"/data/{NAME}"), SignalError(PLANTED), ValueError(PLANTED)])
def test_an_error_without_fields_is_worded_without_privacy_alone(error):
    places = {Path(f"/data/{NAME}"): "signals/pabc.csv"}
    assert PLANTED in error_text(error, places, cohort())
    shown = error_text(error, places, cohort(private=True))
    assert shown in (f"{type(error).__name__}: {HIDDEN}", HIDDEN)


def _header_lines(planted: str) -> Iterator[tuple[str, bytes]]:
    """WFDB headers with planted text in place of each word."""
    header = "rec 2 100 4\nrec.dat 16 200/mV 16 0 1 2 0 red\nrec.dat 16 200/mV 16 0 1 2 0 ir\n# a comment"
    words = header.split(" ")
    for place in range(len(words)):
        yield "rec.hea", " ".join([*words[:place], planted, *words[place + 1 :]]).encode()


def _archive(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _matlab(**arrays: object) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, arrays)
    return file.getvalue()


def _parquet(**columns: list[object]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def _edf_headers() -> Iterator[tuple[str, bytes]]:
    sound = b"0       " + b" " * 160 + b"04.03.1907.30.00" + b"768     " + b" " * 44 + b"1       1       2   "
    yield "a.edf", sound
    for place in range(0, 250, 8):
        yield "a.edf", sound[:place] + b"Wanjiru " + sound[place + 8 :] + b" " * 512


def _bad_files() -> Iterator[tuple[str, str, bytes]]:
    """Reader, file name and content."""
    rows = b"1,2\n" * 9
    for content in (
        PLANTED.encode(),
        f"{NAME},{NUMBER}\n".encode() + rows,
        f"red,{NAME} {NUMBER}\n".encode() + rows,
        f"red,ir\n1,2\n{NAME},{NUMBER}x\n".encode(),
        f"red,ir\n1,2\n{NAME},{NUMBER},{BORN}\n".encode(),
        f"red,ir\n{PLANTED}\n".encode() + rows,
        f"{NUMBER},{NAME}\n".encode() + rows,
        f"red,red,{NAME}\n".encode() + rows,
        f"{NAME}\0".encode(),
    ):
        yield "delimited", f"{NAME}.csv", content
    for name, content in _header_lines(PLANTED):
        yield "wfdb", name, content
    for name, content in _edf_headers():
        yield "edf", name, content
    samples, texts = np.zeros(9), np.array([PLANTED] * 9)
    for arrays in (
        {NAME: samples},
        {"red": texts, "ir": texts},
        {"red": samples, "ir": np.zeros((2, 3, 4)), NAME: samples},
    ):
        yield "arrays", f"{NAME}.npz", _archive(**arrays)
        yield "arrays", f"{NAME}.mat", _matlab(**arrays)
    yield "arrays", f"a.{NAME}", b"whatever"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        file.writestr(f"{NAME}.txt", PLANTED)
    yield "arrays", "a.npz", packed.getvalue()
    yield "arrays", "a.npz", PLANTED.encode()
    for columns in (
        {NAME: [1.0], NUMBER: [2.0]},
        {"red": [PLANTED], "ir": [PLANTED]},
        {"red": [{NAME: 1}], "ir": [1.0]},
    ):
        yield "parquet", f"{NAME}.parquet", _parquet(**columns)
    yield "parquet", "a.parquet", b"PAR1" + PLANTED.encode() + b"PAR1"
    yield "binary", f"{NAME}.bin", PLANTED.encode()


BAD_FILES = list(_bad_files())


def test_every_reader_is_given_bad_files():
    assert {reader for reader, _, _ in BAD_FILES} == set(READERS)


@pytest.mark.parametrize("name", READERS)
def test_no_message_of_a_reader_shows_what_a_file_holds(name, tmp_path):
    options = {"binary": {"dtype": "int16", "n_channels": 7}}.get(name, {})
    reader, errors = get_reader(name), {}
    for number, (_, file, content) in enumerate(bad for bad in BAD_FILES if bad[0] == name):
        path = tmp_path / str(number) / file
        path.parent.mkdir()
        path.write_bytes(content)
        columns = [0, 1] if name == "binary" else ["red", "ir"]
        if error := _refusal(reader, path, columns, options):
            errors[path] = error
    assert errors
    for path, error in errors.items():
        text = error_text(error, {path: "signals/pabc.csv"}, cohort(private=True))
        assert not any(planted in text for planted in PLANTED.split()), text
        assert len(re.findall("[a-z]{3,}", text)) > 5, f"{error} became {text}"


def _refusal(reader, path: Path, columns, options) -> ReadError | None:
    fs_hz = None if path.suffix in (".hea", ".edf") else 50.0
    try:
        for recording in reader.open(path, columns, fs_hz, reader.parse_options(options)):
            recording.whole()
    except ReadError as error:
        return error
    return None


VARIABLES = {"age": {"kind": "numeric", "range": [0, 120]}, "seen": {"kind": "date"}}


@pytest.mark.parametrize(
    ("content", "changes"),
    [
        (f"{NAME},{NUMBER},{BORN}\nb,1,2019-01-01\n", {}),
        (f"{NAME},Otieno,Nakato\nb,1,2019-01-01\n", {}),
        (f"id,{NAME},{BORN}\nb,1,2019-01-01\n", {}),
        (f"id;age;{NAME}\nb;1;2019-01-01\n", {}),
        (f"id,age,seen\n{NAME},1,{BORN}\n", {"where": {"seen": ["never"]}}),
        ("id,age,seen\n" + f"{NAME},{PLANTED},{PLANTED}\n" * 6, {}),
        (f'id,age,seen\n"{NAME},1,{BORN}\n', {}),
        (f"{NAME}\0", {}),
        ("", {}),
    ],
)
def test_no_message_about_the_clinical_table_shows_its_values(content, changes, tmp_path):
    (tmp_path / "t.csv").write_text(content)
    described = cohort(file="t.csv", patient_column="id", variables=VARIABLES, **changes)
    with pytest.raises(ConfigError) as caught:
        read_clinical(described.clinical, tmp_path)
    shown = str(redacted_error(caught.value, described))
    assert "t.csv" in shown or "clinical" in shown
    for text in (*PLANTED.split(), "Otieno", "Nakato"):
        assert text not in shown, shown
