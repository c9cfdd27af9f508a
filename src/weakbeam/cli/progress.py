"""Progress of long work: a bar on a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import click

LINE_EVERY_SECONDS = 60.0

_LEAST_SHARE = 0.01
"""Share of the work from which on the time that is left is told."""


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
                shown = amount_text(done, total, unit) or f"{done / total:.0%}"
                if done >= _LEAST_SHARE * total:
                    shown += f", about {(now - start) * (total / done - 1.0):.0f} s left"
                click.echo(f"{description}: {shown}", err=True)

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
    """A bar on the terminal, which says so while loops are compiled or far fields prepared."""
    from tqdm import tqdm

    from weakbeam.core.preparing import watching_preparations

    class Bar(tqdm):  # type: ignore[misc]
        """A bar that can tell its amounts in words."""

        @property
        def format_dict(self) -> dict[str, Any]:
            """What the form of the bar may name."""
            known: dict[str, Any] = super().format_dict
            text = amount_text(float(self.n), total, unit)
            amount, left = f" {text}" if text else "", ""
            if self.n >= _LEAST_SHARE * total and (
                rate := known["rate"] or self.n / max(known["elapsed"], 1e-9)
            ):
                left = f"{tqdm.format_interval((total - self.n) / rate)} left"
                amount += "," if text else ""
            return {**known, "amount": amount, "left": left}

    form = "{desc} {percentage:3.0f}% |{bar}|{amount} {left}"
    with Bar(total=total, desc=description, bar_format=form, delay=0.5, leave=False) as bar:
        is_preparing, start = False, time.monotonic()

        def prepare(what: str) -> None:
            nonlocal is_preparing
            is_preparing = True
            bar.bar_format = f"{what}, {time.monotonic() - start:.0f} s"
            bar.refresh()

        def update(amount: float) -> None:
            nonlocal is_preparing
            bar.update(amount)
            if is_preparing:
                is_preparing = False
                bar.bar_format = form
                # What preparing took says nothing of the time that is left.
                bar.unpause()
                bar.refresh()

        with watching_preparations(prepare):
            yield update
