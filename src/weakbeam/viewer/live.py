"""``wb.live``: an experiment under a microscope in the browser."""

from __future__ import annotations

import html
import os
import sys
import webbrowser
from importlib.util import find_spec
from types import TracebackType
from typing import TYPE_CHECKING

from weakbeam.experiment import Experiment
from weakbeam.viewer.server import LOOPBACK, Server
from weakbeam.viewer.talk import Handler

if TYPE_CHECKING:
    from weakbeam.viewer.widget import NotebookMicroscope

__all__ = ["Microscope", "live"]


class Microscope:
    """A server with its page. A notebook shows it in place.

    Attributes
    ----------
    url : str
        Address of the page, with the token that lets it in; of this machine only.
    """

    def __init__(self, handler: Handler, host: str = LOOPBACK, port: int = 0) -> None:
        self._server = Server(handler, host, port)

    @property
    def url(self) -> str:
        """Where the page is."""
        return self._server.url

    def close(self) -> None:
        """End the server."""
        self._server.close()

    def wait(self) -> None:
        """Wait until somebody closes it, or Ctrl-C."""
        # In small steps: a plain join is deaf to Ctrl-C on some systems.
        while not self._server.wait(0.2):
            pass

    def __enter__(self) -> Microscope:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<weakbeam microscope at {self.url}>"

    def _repr_html_(self) -> str:
        source = html.escape(self.url, quote=True)
        return (
            f'<iframe src="{source}" title="weakbeam microscope" width="100%" height="780" '
            'style="border: 0"></iframe>'
        )


def live(
    experiment: Experiment | None = None,
    *,
    port: int | None = None,
    browser: bool = False,
    folder: str | os.PathLike[str] = ".",
    workers: int | None = None,
) -> Microscope | NotebookMicroscope:
    """Open the microscope in the browser: motors, defects and instrument to be turned and watched.

    It goes on in the background. In a notebook the value of the call shows the microscope itself:
    as a widget, with no server, where anywidget is there (``pip install 'weakbeam[notebook]'``), as
    a page that is served otherwise. Elsewhere open its ``url``, or let the browser do so.

    Parameters
    ----------
    experiment : Experiment, optional
        What is shown first; the default experiment unless given.
    port : int, optional
        Where the page is served on this machine; one that is free unless given. With a port, or in
        the browser, it is served from a notebook as well.
    browser : bool
        Whether to open the page in the browser.
    folder : path-like
        The page can read and write files in this folder and in no other; the current one.
    workers : int, optional
        Threads; as many as there are cores unless given.

    Returns
    -------
    Microscope or NotebookMicroscope
        Both have ``close()``; the first, which is served, has its ``url``.

    Raises
    ------
    InputError
        If the experiment contradicts physics, the port is taken, or the package websockets is not
        there (``pip install 'weakbeam[live]'``).
    """
    from weakbeam.viewer.session import Session

    session = Session(experiment, folder, workers)
    if port is None and not browser and _shows_widgets():
        from weakbeam.viewer.widget import NotebookMicroscope

        return NotebookMicroscope(session)
    microscope = Microscope(session, port=port or 0)
    if browser:
        webbrowser.open(microscope.url)
    return microscope


def _shows_widgets() -> bool:
    """Whether this is the kernel of a notebook, with what shows widgets."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return hasattr(shell, "kernel") and find_spec("anywidget") is not None
