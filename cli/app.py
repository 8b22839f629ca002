"""The command line: one command a file, heavy imports inside the commands."""

from __future__ import annotations

import sys

import typer
from ppgssl.cli import (
    check,
    evaluate,
    export,
    fit,
    ingest,
    init,
    inspect,
    predict,
    pretrain,
    probe,
    pseudonyms,
    report,
    run,
    simulate,
)

from ppgssl.core.errors import PpgsslError

app = typer.Typer(
    name="ppgssl",
    help="Learn from pulse-oximeter recordings, and test honestly whether they predict an outcome.",
    epilog="A cohort: init, check, ingest, inspect. A study: run, or pretrain, evaluate and report. "
    "A model: fit, predict, evaluate --model. "
    "To try it without data: simulate.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(init.init)
app.command()(check.check)
app.command()(ingest.ingest)
app.command()(inspect.inspect)
app.command()(pseudonyms.pseudonyms)
app.command()(pretrain.pretrain)
app.command()(probe.probe)
app.command()(evaluate.evaluate)
app.command()(report.report)
app.command()(run.run)
app.command()(fit.fit)
app.command()(predict.predict)
app.command()(export.export)
app.command()(simulate.simulate)


# What typer makes of Ctrl-C.
_INTERRUPTED = 130


def main() -> None:
    """Entry point: errors that a user can mend are printed, never traced."""
    try:
        app()
    except PpgsslError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        place = f": {error.filename}" if error.filename else ""
        print(
            f"error: {error.strerror or error}{place}. Is it a folder that you may write to, with room on the disk? "
            "What was finished is kept; run the same command again to go on.",
            file=sys.stderr,
        )
        sys.exit(1)
    except SystemExit as stop:
        if stop.code != _INTERRUPTED:
            raise
        print("\ninterrupted: what was finished is kept; run the same command again to go on", file=sys.stderr)
        sys.exit(1)
