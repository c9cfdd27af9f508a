"""The live table of a sweep: rewritten in place on a terminal, a line a minute in a log."""

from __future__ import annotations

import sys
import time

import click

from weakbeam.batch.events import Event, Finished, Found, Lost, Submitted, Ticked
from weakbeam.cli.progress import LINE_EVERY_SECONDS

_LINE_ON_TERMINAL = 0.2
_HEAD = f"{'tasks':>16}{'failed':>9}{'lost files':>12}{'images/s':>10}{'time left':>12}"


class LiveTable:
    """Shows how far a sweep is.

    Parameters
    ----------
    tasks : int
        All there are.
    frames_per_task : int
        Images of a task.
    quiet : bool
        Show nothing.
    """

    def __init__(self, tasks: int, frames_per_task: int, quiet: bool = False) -> None:
        self._tasks, self._frames_per_task, self._quiet = tasks, frames_per_task, quiet
        self._kept = self._done = self._failed = self._lost = 0
        self._start = time.monotonic()
        self._live = self._is_terminal
        self._due = self._start + (0.0 if self._live else LINE_EVERY_SECONDS)
        self._shown = False

    def __call__(self, event: Event) -> None:
        """Count an event."""
        if isinstance(event, Found):
            self._kept += event.tasks
        elif isinstance(event, Ticked):
            self._done += event.tasks
        elif isinstance(event, Finished):
            self._failed += event.failures
        elif isinstance(event, Lost):
            self._lost += 1
        elif isinstance(event, Submitted) and not self._quiet:
            click.echo(f"{event.jobs} jobs submitted; their logs are in {event.logs}", err=True)
        now = time.monotonic()
        if not self._quiet and now >= self._due:
            self._due = now + (_LINE_ON_TERMINAL if self._live else LINE_EVERY_SECONDS)
            self._show()

    def close(self) -> None:
        """Leave the table as it is."""
        if self._shown and self._live:
            self._show()
            click.echo(err=True)

    @property
    def _is_terminal(self) -> bool:
        return sys.stderr.isatty()

    def _show(self) -> None:
        if not self._shown:
            click.echo(_HEAD, err=True)
            self._shown = True
        rate = self._done / max(time.monotonic() - self._start, 1e-9)
        left = (self._tasks - self._kept - self._done) / rate if rate > 0.0 else float("inf")
        count = f"{self._kept + self._done}/{self._tasks}"
        line = f"{count:>16}{self._failed:>9}{self._lost:>12}"
        line += f"{rate * self._frames_per_task:>10.0f}{duration(left):>12}"
        click.echo(f"\r{line}" if self._live else line, err=True, nl=not self._live)


def duration(seconds: float) -> str:
    """A time in words."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 1e9 else "?"
