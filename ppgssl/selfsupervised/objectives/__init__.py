"""Pretext tasks: each a module with an encoder and a loss. A new task is a new file and one line here."""

from ppgssl.config import suggest
from ppgssl.errors import ConfigError
from ppgssl.selfsupervised.objectives.masked_autoencoder import MaskedAutoencoder

OBJECTIVES: dict[str, type[MaskedAutoencoder]] = {"masked-autoencoder": MaskedAutoencoder}


def get_objective(name: str) -> type[MaskedAutoencoder]:
    """The objective of a name.

    Raises
    ------
    ConfigError
        If there is none; the message lists the choices.
    """
    if name not in OBJECTIVES:
        known = ", ".join(OBJECTIVES)
        raise ConfigError(f"unknown `pretraining.objective` {name!r}{suggest(name, OBJECTIVES)}; known: {known}")
    return OBJECTIVES[name]
