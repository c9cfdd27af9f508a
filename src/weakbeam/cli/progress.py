"""Progress of long work: a bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click

LINE_EVERY_SECONDS = 60.0


class Update(Protocol):
    """Told how much is newly done."""

    def __call__(self, amount: float) -> None:
        """Add `amount` to what is done."""


@contextmanager
def progress(total: float, unit: str, description: str, quiet: bool = False) -> Iterator[Update]:
    """Show the progress of a piece of work on stderr.

    Parameters
    ----------
    total : float
        All there is to do.
    unit : str
        What is counted, such as ``"frame"``.
    description : str
        What is being done, in a word or two.
    quiet : bool
        Show nothing.

    Yields
    ------
    callable
        To be told how much is newly done.
    """
    if quiet:
        yield lambda amount: None
    elif sys.stderr.isatty():
        from tqdm import tqdm

        form = (
            "{desc} {percentage:3.0f}% |{bar}| {n:.0f}/{total:.0f} " + unit + "s, {remaining} left"
        )
        with tqdm(total=total, desc=description, bar_format=form, delay=0.5, leave=False) as bar:
            yield lambda amount: bar.update(amount) and None
    else:
        done, start = 0.0, time.monotonic()
        due = start + LINE_EVERY_SECONDS

        def update(amount: float) -> None:
            nonlocal done, due
            done += amount
            if (now := time.monotonic()) >= due:
                due = now + LINE_EVERY_SECONDS
                left = (now - start) * (total / done - 1.0) if done else float("nan")
                click.echo(
                    f"{description}: {done:.0f} of {total:.0f} {unit}s, about {left:.0f} s left",
                    err=True,
                )

        yield update
