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

    experiment = Experiment() if config is None else Experiment.from_toml(config)
    return experiment.with_settings(settings) if settings else experiment
