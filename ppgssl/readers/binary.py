"""Raw binary samples: nothing but numbers of one type, with or without a header of fixed length to pass over."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from ppgssl.core.errors import ReadError
from ppgssl.core.records import FloatArray
from ppgssl.core.schema import Schema
from ppgssl.core.text import Message
from ppgssl.readers.raw_files import as_samples, check_rate, file_size, position, read_range
from ppgssl.readers.raw_recordings import Column, RawRecording, at_one_rate

# A file of up to this many bytes is read whole when it is opened: half an hour of eight channels at 80 Hz.
_SHORT_BYTES = 4_000_000


class BinaryOptions(Schema):
    """Options of the reader ``binary``."""

    dtype: Literal["float32", "float64", "int8", "int16", "int32", "uint8", "uint16", "uint32"] = "float32"
    byte_order: Literal["little", "big"] = "little"
    n_channels: int = Field(1, ge=1, le=1024, description="Channels whose samples alternate; `column` is a number.")
    header_bytes: int = Field(0, ge=0, description="Bytes before the first sample.")
    missing: list[float] = Field([], description="Marks of a missing sample, as NaN is.")

    @property
    def number_type(self) -> np.dtype:
        return np.dtype(self.dtype).newbyteorder("<" if self.byte_order == "little" else ">")


def open_binary(
    path: Path, columns: Sequence[Column], fs_hz: float | None, options: BinaryOptions
) -> list[RawRecording]:
    """Read channels, by number, of the one recording in a file of raw numbers; see :class:`ppgssl.readers.Reader`.

    Such a file does not describe itself, so a wrong ``dtype`` or ``byte_order`` shows only in the values, or in a
    number of frames (one sample of every channel) that is not whole. A long file is never held whole.
    """
    rate = check_rate(fs_hz)
    names = [str(number) for number in range(options.n_channels)]
    places = {column: position(path, column, names, Message("channel")) for column in columns}
    n_bytes = file_size(path)
    n_frames = _n_frames(path, n_bytes, options)

    def read(frames: slice) -> dict[Column, FloatArray]:
        frame_bytes = options.number_type.itemsize * options.n_channels
        start = options.header_bytes + frames.start * frame_bytes
        content = read_range(path, start, (frames.stop - frames.start) * frame_bytes)
        numbers = np.frombuffer(content, options.number_type).reshape(-1, options.n_channels)
        return {
            column: as_samples(path, column, numbers[:, place], options.missing, first=frames.start)
            for column, place in places.items()
        }

    return [at_one_rate(places, rate, n_frames, read, is_short=n_bytes <= _SHORT_BYTES)]


def _n_frames(path: Path, n_bytes: int, options: BinaryOptions) -> int:
    frame_bytes = options.number_type.itemsize * options.n_channels
    n_frames, n_left = divmod(n_bytes - options.header_bytes, frame_bytes)
    if n_frames < 1:
        problem = (
            "the file has {n_bytes} bytes, too few for a header of {n_header} and one frame of {frame_bytes}. Was the "
            "recording interrupted before it began?"
        )
        raise ReadError(path, problem, n_bytes=n_bytes, n_header=options.header_bytes, frame_bytes=frame_bytes)
    if n_left:
        raise ReadError(
            path,
            "{n_bytes} bytes of samples are no whole number of frames of {frame_bytes} bytes ({n_channels} x "
            "{dtype}): the file is cut off, or `dtype`, `n_channels` or `header_bytes` in the reader's options are "
            "not those of this file.",
            n_bytes=n_bytes - options.header_bytes,
            frame_bytes=frame_bytes,
            n_channels=options.n_channels,
            dtype=options.number_type.type,
        )
    return n_frames
