"""The program ``weakbeam``: its commands, and how it ends."""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from weakbeam import __version__
from weakbeam.cli.bootstrap import bootstrap
from weakbeam.cli.calibrate import calibrate
from weakbeam.cli.compare import compare
from weakbeam.cli.convert import convert
from weakbeam.cli.distortion import distortion
from weakbeam.cli.fit import fit
from weakbeam.cli.forward import forward
from weakbeam.cli.groups import CommandGroup
from weakbeam.cli.identify import identify
from weakbeam.cli.init import init
from weakbeam.cli.live import live
from weakbeam.cli.maps import maps
from weakbeam.cli.materials import materials
from weakbeam.cli.optics import optics
from weakbeam.cli.options import text_with_flags, with_flags
from weakbeam.cli.plan import plan
from weakbeam.cli.reflections import reflections
from weakbeam.cli.rerun import rerun
from weakbeam.cli.show import show
from weakbeam.cli.sweep import sweep
from weakbeam.core.interrupts import telling_interrupts
from weakbeam.core.notices import listening
from weakbeam.errors import InputError, RunError

SECTIONS = {
    "Simulate": (init, forward, rerun, bootstrap),
    "Look": (live, show, maps, compare),
    "Plan": (plan, reflections, optics, materials),
    "Identify": (calibrate, fit, distortion, identify),
    "Many experiments": (sweep,),
    "Convert": (convert,),
}
"""The commands by the headings of the help."""


@click.group(
    cls=CommandGroup,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Example: weakbeam forward -o first-image",
)
@click.version_option(__version__, prog_name="weakbeam")
def weakbeam() -> None:
    """Forward model of dark-field X-ray microscopy images of dislocations.

    Every command has --help with examples. An experiment is a TOML file, FILE or -c FILE; without
    one it is the default, an edge dislocation in aluminium. Nothing is replaced without
    --overwrite.
    """


def run(name: str, arguments: Sequence[str] | None = None) -> None:
    """Run a program by its name; ends the process with status 0, 1 or 2."""
    if name == "weakbeam":
        _run(weakbeam, arguments)
    from weakbeam.cli import dfxm_geo

    _run(dfxm_geo.PROGRAMS[name], arguments)


def _run(command: click.Command, arguments: Sequence[str] | None) -> NoReturn:
    """Run a command; every mistake ends in one line on stderr."""
    # Imports make very many objects that stay. Looking through them for garbage, again and again
    # and once more at the exit, takes a quarter of the time of a small run.
    gc.set_threshold(1_000_000, 10, 10)
    atexit.register(gc.freeze)
    printed: dict[str, None] = {}

    def tell(line: str) -> None:
        if line not in printed:
            printed[line] = None
            click.echo(f"weakbeam: {' '.join(line.split())}", err=True)

    try:
        # Outside of its standalone mode click returns the status of --help or of an `Exit`.
        given = None if arguments is None else list(arguments)
        with listening(tell), telling_interrupts():
            status = _PastClick(command).main(given, standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        click.echo(err=True)
        _end(_commands_of(error.ctx), error.exit_code)
    except click.ClickException as error:
        _end(error.format_message(), error.exit_code)
    except InputError as error:
        _end(str(with_flags(error)), 2)
    except RunError as error:
        _end(text_with_flags(str(error)), 1)
    except MemoryError:
        _end("out of memory", 1)
    except (click.Abort, KeyboardInterrupt, _Interrupted):
        _end("interrupted", 130)
    except BrokenPipeError:
        sys.exit(1)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}", 1)


class _Interrupted(BaseException):
    """Ctrl-C on its way past click."""


class _PastClick(click.Command):
    """A command of which click does not see Ctrl-C: it would answer with an empty line."""

    def __init__(self, command: click.Command) -> None:
        super().__init__(command.name)
        self._command = command

    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        """Context of the command itself."""
        with _past_click():
            return self._command.make_context(*arguments, **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command itself."""
        with _past_click():
            return self._command.invoke(ctx)


@contextmanager
def _past_click() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        raise _Interrupted from None


def _commands_of(context: click.Context | None) -> str:
    """What to say where a group is called without a command."""
    assert context is not None
    assert isinstance(context.command, click.Group)
    names = ", ".join(context.command.list_commands(context))
    return f"{context.command_path} needs a command: {names}"


def _end(message: str, status: int) -> NoReturn:
    click.echo(f"weakbeam: {' '.join(message.split())}", err=True)
    sys.exit(status)
