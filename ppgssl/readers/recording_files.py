"""One recording from one file, without a description of its cohort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ppgssl.core.errors import ConfigError, ReadError
from ppgssl.core.records import Recording
from ppgssl.readers import get_reader
from ppgssl.readers.raw_recordings import Column

_READER_OF = {
    ".hea": "wfdb",
    ".edf": "edf",
    ".npy": "arrays",
    ".npz": "arrays",
    ".mat": "arrays",
    ".csv": "delimited",
    ".tsv": "delimited",
    ".txt": "delimited",
    ".parquet": "parquet",
}
"""Ending of a file -> the reader that it is given to."""

_STATES_ITS_RATE = ("edf", "wfdb")


def read_recording(
    path: str | Path,
    channels: Mapping[str, Column] | Sequence[Column],
    *,
    fs_hz: float | None = None,
    reader: str | None = None,
    options: Mapping[str, Any] | None = None,
    number: int | None = None,
    start_s: float = 0.0,
    stop_s: float | None = None,
) -> Recording:
    """Read channels of one recording from a file.

    Parameters
    ----------
    path : str or Path
    channels : mapping of name to column, or sequence of columns
        Which channels, and where they are: the name of a column, a signal or an array in the file, or its 0-based
        number. A sequence keeps the file's names. Names such as ``ppg``, ``ppg_red``, ``ppg_ir`` and ``ecg_ii`` are
        those of the rest of the library.
    fs_hz : float, optional
        Sampling rate, of files that do not state it.
    reader : {"arrays", "binary", "delimited", "edf", "parquet", "wfdb"}, optional
        By default by the ending of the file: .hea (WFDB), .edf, .npy, .npz, .mat, .csv, .tsv, .txt, .parquet.
    options : mapping, optional
        Options of the reader, as in ``cohort.yaml``; see ``docs/formats.md``.
    number : int, optional
        Which recording, from 0, of a file that holds several.
    start_s, stop_s : float
        Part of the recording; all of it by default.

    Returns
    -------
    Recording
        ``recording_id`` is the name of the file without its ending; ``patient_id`` is empty.

    Raises
    ------
    ConfigError
        If no reader fits the ending, an option is unknown, or the sampling rate is neither given nor stated.
    ReadError
        If the file is absent, damaged or something else, lacks a channel, or holds several recordings.

    Examples
    --------
    >>> read_recording("p001.csv", {"ppg": "PLETH"}, fs_hz=125).signals["ppg"].samples.shape  # doctest: +SKIP
    (7500,)
    """
    path = Path(path).expanduser()
    name = reader or _reader_of(path)
    chosen = dict(channels) if isinstance(channels, Mapping) else {str(column): column for column in channels}
    if not chosen:
        raise ConfigError(f"{path}: name at least one channel, for example {{'ppg': 0}}")
    if fs_hz is None and name not in _STATES_ITS_RATE:
        raise ConfigError(f"{path}: files of this format do not state their sampling rate. Give it as `fs_hz`, in Hz.")
    found = get_reader(name)
    recordings = found.open(path, list(chosen.values()), fs_hz, found.parse_options(options or {}))
    if number is None and len(recordings) != 1:
        problem = "holds {n} recordings. Give `number`, 0 to {last}."
        raise ReadError(path, problem, n=len(recordings), last=len(recordings) - 1)
    if number is not None and not 0 <= number < len(recordings):
        problem = "has no recording of number {number}; there are {n}, counted from 0."
        raise ReadError(path, problem, number=number, n=len(recordings))
    raw = recordings[number or 0]
    samples = raw.read(start_s, raw.duration_s if stop_s is None else stop_s)
    return Recording(
        recording_id=path.stem if len(recordings) == 1 else f"{path.stem}#{number}",
        patient_id="",
        signals={channel: samples[column] for channel, column in chosen.items()},
        source=path.name,
    )


def _reader_of(path: Path) -> str:
    ending = path.suffix.lower()
    if ending not in _READER_OF:
        raise ConfigError(
            f"{path}: no reader is known for {ending or 'a file without an ending'}. Give `reader`: arrays, binary, "
            f"delimited, edf, parquet or wfdb. Known endings are {', '.join(_READER_OF)}."
        )
    return _READER_OF[ending]
