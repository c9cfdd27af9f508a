"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment

F = TypeVar("F", bound=Callable[..., Any])

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads.  [default: all cores]",
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")

names_only_option = click.option(
    "-q", "--quiet", is_flag=True, help="Print nothing but the names of the files."
)


class Number(click.FloatRange):
    """A number in a range; not a number is none."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the value of an option, or fail with what it may be."""
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value!r} is not a valid number.", param, ctx)
        return number


def folder_option(help: str, default: str | None = None) -> Callable[[F], F]:
    """``--output``, the folder for what a command makes."""
    more: dict[str, Any] = {} if default is None else {"default": Path(default)}
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help=help,
        show_default=default is not None,
        **more,
    )


def overwrite_option(what: str) -> Callable[[F], F]:
    """``--overwrite``, without which nothing is replaced."""
    return click.option("--overwrite", is_flag=True, help=f"Replace {what}.")


def format_option(*more: str) -> Callable[[F], F]:
    """``--format``, the format of the figures; `more` than three of them."""
    return click.option(
        "--format",
        "suffix",
        type=click.Choice(["png", "svg", "pdf", *more]),
        default="png",
        show_default=True,
        help="Format of the figures.",
    )


def check_target(folder: Path, name: str, overwrite: bool, what: str) -> Path:
    """The file that a command will write, looked at before anything is computed.

    Parameters
    ----------
    folder : Path
        The value of ``--output``.
    name : str
        Of the file in it.
    overwrite : bool
        Whether it may be there.
    what : str
        What it is, to be told.

    Raises
    ------
    InputError
        If the folder is a file, or holds one already.
    """
    if not next(place for place in (folder, *folder.absolute().parents) if place.exists()).is_dir():
        raise InputError("--output", str(folder), "is or lies in a file; it must be a folder")
    if (folder / name).exists() and not overwrite:
        raise InputError("--output", str(folder), f"holds {what} already: --overwrite replaces it")
    return folder / name


@contextmanager
def naming_flags(
    shown: Mapping[str, Callable[[Any], object]] | None = None, **flags: str
) -> Iterator[None]:
    """Let mistakes name the flags of the command line, in place of what functions call them.

    Parameters
    ----------
    shown : mapping of str to callable, optional
        How a flag has the value that a function complains of, where that is another one: in other
        units, or counted from 1. By what the function calls it.
    **flags : str
        Flag by what functions call it.
    """
    try:
        yield
    except InputError as error:
        if error.key not in flags:
            raise
        value = error.value
        if value is not None and shown is not None and error.key in shown:
            value = shown[error.key](value)
        raise InputError(flags[error.key], value, error.allowed) from None


def experiment_options(command: F) -> F:
    """Add ``--config`` and ``--set``, from which :func:`experiment_of` makes the experiment."""
    config = click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="The experiment (TOML).  [default: the built-in one]",
    )
    settings = click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change a key of the experiment; may be given several times.",
    )
    return config(settings(command))


def experiment_of(config: Path | None, settings: tuple[str, ...]) -> Experiment:
    """The experiment that ``--config`` and ``--set`` describe.

    Raises
    ------
    InputError
        If the file cannot be read, or a key or value is not allowed.
    """
    from weakbeam.experiment import Experiment

    experiment = Experiment() if config is None else _reader()(config)
    return experiment.with_settings(settings) if settings else experiment


READER = "weakbeam.cli.options.READER"
"""Key of click's ``meta`` for the function that reads experiments, where it is not the usual."""


def _reader() -> Callable[[Path], Experiment]:
    context = click.get_current_context(silent=True)
    reader: Callable[[Path], Experiment] = _read
    return reader if context is None else context.meta.get(READER, reader)


def _read(config: Path) -> Experiment:
    """Read an experiment; a file of dfxm-geo is refused with the command that converts it."""
    from weakbeam.experiment import Experiment

    try:
        return Experiment.from_toml(config)
    except InputError:
        from weakbeam.compat.conversion import is_dfxm_geo
        from weakbeam.experiment.toml_text import read_toml

        if is_dfxm_geo(read_toml(config)):
            told = "is a file of dfxm-geo: weakbeam convert makes an experiment of it"
            raise InputError(str(config), None, told) from None
        raise
