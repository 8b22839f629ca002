"""Raw files -> signals and clinical tables. A format is a file of this folder and one line of ``READERS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ppgssl.core.config.loading import problems
from ppgssl.core.errors import ConfigError
from ppgssl.core.text import suggest
from ppgssl.readers.arrays import ArrayOptions, open_arrays
from ppgssl.readers.binary import BinaryOptions, open_binary
from ppgssl.readers.delimited import DelimitedOptions, open_delimited
from ppgssl.readers.edf import EdfOptions, open_edf
from ppgssl.readers.parquet import ParquetOptions, open_parquet
from ppgssl.readers.raw_recordings import Column, RawRecording
from ppgssl.readers.wfdb_records import WfdbOptions, open_wfdb, wfdb_files


@dataclass(frozen=True)
class Reader:
    """How one family of file formats is read. Functions named ``open_`` follow this contract.

    Attributes
    ----------
    open : callable
        ``open(path, columns, fs_hz, options)`` -> the recordings in the file. ``columns`` are names, or 0-based
        numbers; ``fs_hz`` is the sampling rate, needed by formats that do not state it (ConfigError without). Samples
        are float64 in the file's unit, NaN where missing. Raises ReadError for every file that is not what it expects.
    options_model : type
        The options that a ``cohort.yaml`` may give this reader.
    files : callable
        ``files(path)`` -> all files that the recording consists of, ``path`` first: those whose change makes it another
        recording. Never raises; files that are named and absent may be among them.
    """

    open: Callable[[Path, Sequence[Column], float | None, Any], list[RawRecording]]
    options_model: type[BaseModel]
    files: Callable[[Path], list[Path]] = lambda path: [path]

    def parse_options(self, options: Mapping[str, Any]) -> BaseModel:
        """Check the options of a description; ConfigError lists every unknown option and wrong value."""
        try:
            return self.options_model.model_validate(dict(options))
        except ValidationError as error:
            raise ConfigError("`signals.options` are wrong:", problems(error, self.options_model)) from None


READERS: dict[str, Reader] = {
    "arrays": Reader(open_arrays, ArrayOptions),
    "binary": Reader(open_binary, BinaryOptions),
    "delimited": Reader(open_delimited, DelimitedOptions),
    "edf": Reader(open_edf, EdfOptions),
    "parquet": Reader(open_parquet, ParquetOptions),
    "wfdb": Reader(open_wfdb, WfdbOptions, wfdb_files),
}


def get_reader(name: str) -> Reader:
    """The reader of that name; ConfigError if there is none."""
    if name not in READERS:
        near = suggest(name, READERS)
        raise ConfigError(f"`signals.reader`: unknown reader {name!r}{near}; known: {', '.join(READERS)}")
    return READERS[name]
