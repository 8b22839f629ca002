"""``model_card.md``: what a model is for, whom it was made of, how good it is, and where it ends."""

from __future__ import annotations

from importlib.resources import files

import jinja2

from ppgssl.models.card import ModelCard


def card_text(card: ModelCard) -> str:
    """The card, in Markdown, by the template ``model_card.md.jinja``."""
    source = files("ppgssl.models").joinpath("model_card.md.jinja").read_text(encoding="utf-8")
    # Markdown is not escaped: the card is a text file, and a report that shows it escapes it.
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True)
    return environment.from_string(source).render(card=card)
