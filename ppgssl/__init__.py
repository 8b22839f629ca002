"""Learn from every pulse-oximeter recording, and test honestly whether it predicts an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppgssl.features.segment_encoder import SegmentEncoder

__all__ = ["SegmentEncoder"]


def __getattr__(name: str) -> Any:
    """``SegmentEncoder`` brings torch, which takes seconds: it is imported when it is asked for."""
    if name == "SegmentEncoder":
        from ppgssl.features.segment_encoder import SegmentEncoder

        return SegmentEncoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
