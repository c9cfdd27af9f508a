"""The program ``weakbeam``: its commands, and how it ends."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Sequence

import click

from weakbeam import __version__
from weakbeam.cli.bootstrap import bootstrap
from weakbeam.cli.convert import convert
from weakbeam.cli.forward import forward
from weakbeam.cli.identify import identify
from weakbeam.cli.init import init
from weakbeam.cli.maps import maps
from weakbeam.cli.optics import optics
from weakbeam.cli.options import text_with_flags, with_flags
from weakbeam.cli.reflections import reflections
from weakbeam.cli.rerun import rerun
from weakbeam.cli.show import show
from weakbeam.cli.sweep import sweep
from weakbeam.errors import InputError, RunError


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: weakbeam forward -o first-image",
)
@click.version_option(__version__, prog_name="weakbeam")
def weakbeam() -> None:
    """Forward model of dark-field X-ray microscopy images of dislocations."""


for command in (
    init,
    forward,
    bootstrap,
    optics,
    reflections,
    show,
    maps,
    identify,
    sweep,
    convert,
    rerun,
):
    weakbeam.add_command(command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``weakbeam``; ends the process with status 0, 1 or 2."""
    _run(weakbeam, arguments)


def dfxm_init() -> None:
    """Run ``dfxm-init``: ``weakbeam init`` into the folder configs."""
    _run_as_dfxm_geo("init")


def dfxm_forward() -> None:
    """Run ``dfxm-forward``: ``weakbeam forward`` for files of dfxm-geo, too."""
    _run_as_dfxm_geo("forward")


def dfxm_bootstrap() -> None:
    """Run ``dfxm-bootstrap``: ``weakbeam bootstrap`` for files of dfxm-geo, too."""
    _run_as_dfxm_geo("bootstrap")


def dfxm_find_reflections() -> None:
    """Run ``dfxm-find-reflections``: ``weakbeam reflections`` for files of dfxm-geo, too."""
    _run_as_dfxm_geo("reflections")


def dfxm_identify() -> None:
    """Run ``dfxm-identify``: ``weakbeam identify generate`` for files of dfxm-geo, too."""
    _run_as_dfxm_geo("identify")


def _run_as_dfxm_geo(name: str) -> None:
    from weakbeam.cli import dfxm_geo

    _run(getattr(dfxm_geo, name))


def _run(command: click.Command, arguments: Sequence[str] | None = None) -> None:
    """Run a command; every mistake ends in one line on stderr."""
    # Imports make very many objects that stay. Looking through them for garbage, again and again
    # and once more at the exit, takes a quarter of the time of a small run.
    gc.set_threshold(1_000_000, 10, 10)
    atexit.register(gc.freeze)
    try:
        # Outside of its standalone mode click returns the status of --help or of an `Exit`.
        status = command.main(None if arguments is None else list(arguments), standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        _end(error.format_message(), error.exit_code)
    except InputError as error:
        _end(str(with_flags(error)), 2)
    except RunError as error:
        _end(text_with_flags(str(error)), 1)
    except MemoryError:
        _end("out of memory", 1)
    except (click.Abort, KeyboardInterrupt):
        _end("interrupted", 130)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}", 1)


def _end(message: str, status: int) -> None:
    click.echo(f"weakbeam: {' '.join(message.split())}", err=True)
    sys.exit(status)
