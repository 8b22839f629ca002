"""All commands; heavy imports are inside them."""

from __future__ import annotations

from importlib import import_module

import typer

COMMANDS = (
    *("init", "check", "ingest", "inspect", "pseudonyms"),
    *("pretrain", "probe", "evaluate", "report", "run"),
    *("fit", "predict", "export", "simulate"),
)

app = typer.Typer(
    name="ppgssl",
    help="Learn from pulse-oximeter recordings, and estimate whether they predict an outcome.",
    epilog="A cohort: init, check, ingest, inspect. A study: run, or pretrain, evaluate and report. "
    "A model: fit, predict, evaluate --model. "
    "To try it without data: simulate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for name in COMMANDS:
    app.command()(getattr(import_module(f"ppgssl.cli.{name}"), name))
