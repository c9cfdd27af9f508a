"""Figures described before they are drawn, and a process of its own that draws them.

Importing matplotlib and drawing take longer than computing an image. So a run describes each figure
by plain arrays as soon as it has them, and another process draws it while this one computes.
"""

from __future__ import annotations

import pickle
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from queue import SimpleQueue
from threading import Thread
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any

from weakbeam.core.processes import can_start, start_python

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMAT = ".png"
"""Format of the pictures of an :class:`Artist`."""


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure that is not drawn yet: a function of :mod:`weakbeam.plot` and what it gets.

    Parameters
    ----------
    function : str
        Module and name of the function, such as ``"weakbeam.plot.image.image_figure"``.
    arguments : tuple
        Arrays and plain values.
    options : mapping of str to object
        Keyword arguments.
    """

    function: str
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)

    def figure(self) -> Figure:
        """Draw it."""
        module, _, name = self.function.rpartition(".")
        figure: Figure = getattr(import_module(module), name)(*self.arguments, **self.options)
        return figure

    def picture(self, suffix: str = FORMAT) -> bytes:
        """Draw it, and return what a file with this suffix holds."""
        from weakbeam.plot.style import render

        return render(self.figure(), suffix)


class Artist:
    """Draws figures in another process while this one goes on.

    That process gets drawings and gives back pictures. It touches no file, and it ends with the
    ``with`` block, whatever happens in it, or with this process. What it does not draw, because it
    could not be started or has died, is drawn here at the end.

    Examples
    --------
    >>> from weakbeam.plot.drawing import Artist, Drawing
    >>> curve = Drawing("weakbeam.plot.rocking.rocking_figure", ([-1, 0, 1], [0, 1, 0]))
    >>> with Artist() as artist:
    ...     artist.submit({"rocking": curve})
    ...     pictures = artist.finish()
    >>> pictures["rocking"][1:4]
    b'PNG'
    """

    def __init__(self) -> None:
        self._drawings: dict[str, Drawing] = {}
        self._jobs: SimpleQueue[bytes | None] = SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._feeder: Thread | None = None
        self._started = False

    def __enter__(self) -> Artist:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the process, unless it has been; it imports matplotlib at once."""
        if self._started:
            return
        self._started = True
        if not can_start():
            return
        with suppress(OSError):
            self._process = start_python("weakbeam.plot.process.work", subprocess.DEVNULL)
        if self._process is not None:
            # The other process reads when it has time: only a thread may wait for that.
            self._feeder = Thread(target=_feed, args=(self._process.stdin, self._jobs), daemon=True)
            self._feeder.start()

    def submit(self, drawings: Mapping[str, Drawing]) -> None:
        """Have figures drawn, by their names; starts the process if need be."""
        self.start()
        for name, drawing in drawings.items():
            self._drawings[name] = drawing
            if self._process is not None:
                self._jobs.put(pickle.dumps((name, drawing)))

    def finish(self) -> dict[str, bytes]:
        """Return the pictures of all figures that were submitted, as PNG; end the process.

        Raises
        ------
        ValueError
            If a figure cannot be drawn from what it got.
        """
        drawn = self._wait()
        self.close()
        return {
            name: drawn[name] if name in drawn else drawing.picture()
            for name, drawing in self._drawings.items()
        }

    def _wait(self) -> dict[str, bytes]:
        """Pictures from the other process; none if it failed."""
        if self._process is None:
            return {}
        assert self._process.stdout is not None
        self._jobs.put(None)
        try:
            drawn: dict[str, bytes] = pickle.load(self._process.stdout)
        except Exception:
            # Whatever is wrong with the other process, this one can draw too.
            return {}
        return drawn

    def close(self) -> None:
        """End the process, whatever it is doing."""
        if self._process is None:
            return
        assert self._process.stdout is not None
        assert self._feeder is not None
        self._process.kill()
        self._process.wait()
        self._jobs.put(None)
        self._feeder.join()
        self._process.stdout.close()
        self._process = None


def _feed(pipe: IO[bytes], jobs: SimpleQueue[bytes | None]) -> None:
    """Send every job through the pipe, and close it after the last."""
    # That the other process has died is noticed when its pictures do not come.
    with suppress(OSError), pipe:
        for job in iter(jobs.get, None):
            pipe.write(job)
            pipe.flush()
