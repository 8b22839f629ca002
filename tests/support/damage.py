"""Damaged content for the property tests of readers: what a bad disk, or a bad copy, leaves of a file."""

from __future__ import annotations

from hypothesis import strategies as st

_SUSPICIOUS = [b"", b"9999999999", b"99999999", b"-1      ", b"1e300   ", b"nan     ", b"-", b"/", b"~", b" ", b"\n"]


def damaged(data: st.DataObject, content: bytes) -> bytes:
    """The content with some bytes replaced, inserted, deleted or cut off; at least one is left."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(changed)))
        inserted = data.draw(st.sampled_from(_SUSPICIOUS) | st.binary(max_size=8))
        changed[place : place + data.draw(st.sampled_from([len(inserted), 0, 1, 8]))] = inserted
    return bytes(changed[: data.draw(st.none() | st.integers(1, len(changed)))]) or b"x"
