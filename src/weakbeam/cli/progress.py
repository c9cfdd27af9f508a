"""Progress of long work: a bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import click

LINE_EVERY_SECONDS = 60.0

COMPILING = "compiling (first run only)"


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
        with _bar(total, unit, description) as update:
            yield update
    else:
        done, start = 0.0, time.monotonic()
        due = start + LINE_EVERY_SECONDS

        def update(amount: float) -> None:
            nonlocal done, due
            done += amount
            if (now := time.monotonic()) >= due:
                due = now + LINE_EVERY_SECONDS
                left = (now - start) * (total / done - 1.0) if done else float("nan")
                shown = amount_text(done, total, unit) or f"{done / total:.0%}"
                click.echo(f"{description}: {shown}, about {left:.0f} s left", err=True)

        yield update


def amount_text(done: float, total: float, unit: str) -> str:
    """How much is done of what there is, such as "26 of 100 million rays"; empty for percent.

    Parameters
    ----------
    done, total : float
        Numbers of the unit.
    unit : str
        What is counted, such as ``"ray"``.
    """
    if unit == "percent":
        return ""
    things = unit if total == 1.0 else f"{unit}s"
    for size, name in ((1e9, "billion "), (1e6, "million ")):
        if total >= size:
            return f"{_short(done / size)} of {_short(total / size)} {name}{things}"
    return f"{done:,.0f} of {total:,.0f} {things}"


def _short(number: float) -> str:
    return f"{number:.0f}" if number >= 100.0 else f"{number:.3g}"


@contextmanager
def _bar(total: float, unit: str, description: str) -> Iterator[Update]:
    """A bar on the terminal, which says so while the first run has its loops compiled."""
    from tqdm import tqdm

    from weakbeam.core.compiling import watching_compiler

    class Bar(tqdm):  # type: ignore[misc]
        """A bar that can tell its amounts in words."""

        @property
        def format_dict(self) -> dict[str, object]:
            """What the form of the bar may name."""
            known: dict[str, object] = super().format_dict
            text = amount_text(float(self.n), total, unit)
            return {**known, "amount": f" {text}," if text else ""}

    form = "{desc} {percentage:3.0f}% |{bar}|{amount} {remaining} left"
    with Bar(total=total, desc=description, bar_format=form, delay=0.5, leave=False) as bar:
        compiling, start = False, time.monotonic()

        def compile_first() -> None:
            nonlocal compiling
            compiling = True
            bar.bar_format = f"{COMPILING}, {time.monotonic() - start:.0f} s"
            bar.refresh()

        def update(amount: float) -> None:
            nonlocal compiling
            bar.update(amount)
            if compiling:
                compiling = False
                bar.bar_format = form
                # What compiling took says nothing of the time that is left.
                bar.unpause()
                bar.refresh()

        with watching_compiler(compile_first):
            yield update
