"""Raw files -> signals and clinical tables. A format is a file of this folder and one line of ``READERS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ppgssl.config import problems, suggest
from ppgssl.errors import ConfigError
from ppgssl.readers.arrays import ArrayOptions, read_arrays
from ppgssl.readers.delimited import DelimitedOptions, read_delimited
from ppgssl.records import Signal

Recordings = list[dict[str | int, Signal]]


@dataclass(frozen=True)
class Reader:
    """How one family of file formats is read.

    Attributes
    ----------
    read : callable
        ``read(path, columns, fs_hz, options)`` -> one dict of column to Signal for each recording in the file; raises
        ReadError for every file that is not what it expects.
    options_model : type
        The options that a ``cohort.yaml`` may give this reader.
    """

    read: Callable[[Path, Sequence[str | int], float | None, Any], Recordings]
    options_model: type[BaseModel]

    def parse_options(self, options: Mapping[str, Any]) -> BaseModel:
        """Check the options of a description.

        Raises
        ------
        ConfigError
            If an option is unknown or has a wrong value; every mistake is listed.
        """
        try:
            return self.options_model.model_validate(dict(options))
        except ValidationError as error:
            raise ConfigError("`signals.options` are wrong:", problems(error, self.options_model)) from None


READERS: dict[str, Reader] = {
    "arrays": Reader(read_arrays, ArrayOptions),
    "delimited": Reader(read_delimited, DelimitedOptions),
}


def get_reader(name: str) -> Reader:
    """The reader of that name.

    Raises
    ------
    ConfigError
        If there is none; the message lists those there are.
    """
    if name not in READERS:
        raise ConfigError(
            f"`signals.reader`: unknown reader {name!r}{suggest(name, READERS)}; known: {', '.join(READERS)}"
        )
    return READERS[name]
