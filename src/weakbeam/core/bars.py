"""Bars of progress, in notebooks and on terminals."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

Progress = Callable[[float], None]
"""Told how much is newly done."""

_ROUNDING = 1e-6


class Bar:
    """A bar that is told how much is newly done, and ends when all is.

    Parameters
    ----------
    total : float
        All there is to do.
    unit : str
        What is counted; of shares of the whole ``""``.
    """

    def __init__(self, total: float, unit: str = "") -> None:
        # A notebook gets a bar of its own, where ipywidgets is installed.
        tqdm: Any = import_module("tqdm.auto").tqdm
        form = "{percentage:3.0f}% |{bar}| " + (unit and "{n:.0f} of {total:.0f} " + unit)
        self._bar = tqdm(total=total, bar_format=form + " {remaining} left", delay=0.5)

    def __call__(self, amount: float) -> None:
        """Move on by `amount`."""
        if self._bar.n + amount < self._bar.total * (1.0 - _ROUNDING):
            self._bar.update(amount)
            return
        # Sums of parts are not exactly the whole, and no bar is longer than that.
        self._bar.n = self._bar.total
        self._bar.refresh()
        self._bar.close()


def teller(progress: Progress | bool | None, total: float, unit: str = "") -> Progress | None:
    """What is told of progress: a bar for True, nothing for False.

    Parameters
    ----------
    progress : callable or bool, optional
        As the caller of a verb gave it.
    total : float
        All there is to do.
    unit : str
        What is counted; of shares of the whole ``""``.
    """
    if progress is True:
        return Bar(total, unit)
    return progress or None
