"""Learn from every pulse-oximeter recording, and test honestly whether it predicts an outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ppgssl.features.segment_encoder import Encoder

__all__ = ["Encoder"]


def __getattr__(name: str) -> Any:
    """``Encoder`` brings torch, which takes seconds: it is imported when it is asked for."""
    if name == "Encoder":
        from ppgssl.features.segment_encoder import Encoder

        return Encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
