"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment

F = TypeVar("F", bound=Callable[..., Any])

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads.  [default: all cores]",
)


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
    from weakbeam.errors import InputError
    from weakbeam.experiment import Experiment

    try:
        return Experiment.from_toml(config)
    except InputError:
        from weakbeam.compat.conversion import is_dfxm_geo
        from weakbeam.toml_text import read_toml

        if is_dfxm_geo(read_toml(config)):
            told = "is a file of dfxm-geo: weakbeam convert makes an experiment of it"
            raise InputError(str(config), None, told) from None
        raise
