"""Text that is too long to hold whole: where its lines lie, so that any of them can be read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from pathlib import Path

from ppgssl.core.errors import ReadError
from ppgssl.readers.raw_files import file_size, in_words, read_range

_CHUNK_BYTES = 1_000_000


@dataclass(frozen=True)
class LineIndex:
    """First byte, and 0-based number, of a line about every megabyte of a text file.

    The last entry is the end of the text, without empty lines after it.
    """

    path: Path
    offsets: list[int]
    numbers: list[int]

    @property
    def n_lines(self) -> int:
        return self.numbers[-1]

    def read(self, first: int, stop: int) -> bytes:
        """Lines ``first`` to ``stop - 1``, without the line end of the last."""
        before = bisect_right(self.numbers, first) - 1
        after = bisect_left(self.numbers, stop)
        content = read_range(self.path, self.offsets[before], self.offsets[after] - self.offsets[before])
        lines = content.split(b"\n", stop - self.numbers[before])
        return b"\n".join(lines[first - self.numbers[before] : stop - self.numbers[before]])


def index_lines(path: Path) -> LineIndex:
    """Find the lines of a text file, in one pass; ReadError if it is binary, or has a line of more than a megabyte."""
    size = file_size(path)
    offsets, numbers = [0], [0]
    position = n_lines = 0
    with in_words(path), path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            _check_chunk(path, chunk, is_last=position + len(chunk) == size)
            end = chunk.find(b"\n") + 1
            if end and position:
                offsets.append(position + end)
                numbers.append(n_lines + 1)
            n_lines += chunk.count(b"\n")
            position += len(chunk)
    return _with_end(LineIndex(path, offsets, numbers), position, n_lines)


def _check_chunk(path: Path, chunk: bytes, *, is_last: bool) -> None:
    if b"\0" in chunk:
        raise ReadError(path, "binary data, where text is expected. Choose the reader of this format.")
    if b"\n" not in chunk and not is_last:
        problem = (
            "a line of more than {size_mb:.0f} MB, in a text with a line for each sample. If the samples of a channel "
            "stand side by side, set `layout: line`; if lines end in carriage returns alone, convert the file."
        )
        raise ReadError(path, problem, size_mb=_CHUNK_BYTES / 1000000.0)


def _with_end(index: LineIndex, size: int, n_newlines: int) -> LineIndex:
    """The index with the end of the text, before empty lines and the last line's end."""
    start = max(size - _CHUNK_BYTES, index.offsets[0])
    tail = read_range(index.path, start, size - start)
    text = tail.rstrip(b"\r\n \t")
    end = start + len(text)
    n_lines = n_newlines - tail[len(text) :].count(b"\n") + 1
    kept = [place for place, offset in enumerate(index.offsets) if offset < end]
    return LineIndex(
        index.path,
        [*(index.offsets[place] for place in kept), end],
        [*(index.numbers[place] for place in kept), n_lines],
    )
