"""Learn from every pulse-oximeter recording, and test honestly whether it predicts an outcome."""

from importlib.metadata import version

__version__ = version("ppgssl")
