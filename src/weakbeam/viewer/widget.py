"""The microscope in a notebook: the same page in a frame, its messages carried by anywidget.

No server and no port: what the page says comes through the connection that the notebook has to its
kernel, and what it is told goes back the same way, as the same bytes.
"""

from __future__ import annotations

from typing import Any

import anywidget

from weakbeam.viewer.page_files import notebook_module
from weakbeam.viewer.talk import LARGEST_MESSAGE, Handler, Send, Talk

__all__ = ["NotebookMicroscope"]


class NotebookMicroscope(anywidget.AnyWidget):  # type: ignore[misc]
    """A widget with the page. A notebook shows it where it is the value of a cell.

    One page at a time: where it is shown again, the new page takes over, and the old one is told.

    Parameters
    ----------
    handler : Handler
        What the page talks to.
    """

    _esm = notebook_module()

    def __init__(self, handler: Handler) -> None:
        super().__init__()
        self.handler = handler
        self._speech = Talk(handler)
        self._shown: tuple[str, Send] | None = None
        self.on_msg(self._hear)

    def close(self) -> None:
        """End it; its page notices."""
        if (shown := self._shown) is not None:
            self._shown = None
            self.send({"page": shown[0], "state": "lost"})
        self._speech.close()
        super().close()

    def __enter__(self) -> NotebookMicroscope:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<weakbeam microscope>"

    def _hear(self, widget: object, message: Any, buffers: object) -> None:
        """What a page says: that it opens or is gone, or something for the session."""
        if not isinstance(message, dict) or not isinstance(page := message.get("page"), str):
            return
        if message.get("ask") is True:
            self.send({"page": page[:64], "state": "there"})
        elif message.get("open") is True:
            self._open(page[:64])
        elif self._shown is None or self._shown[0] != page:
            return
        elif message.get("open") is False:
            self._speech.forget(self._shown[1])
            self._shown = None
        elif isinstance(said := message.get("said"), str):
            fits = len(said) <= LARGEST_MESSAGE
            if not fits or not self._speech.receive(said, self._shown[1]):
                self._speech.forget(self._shown[1])
                self._shown = None
                self.send({"page": page, "state": "lost"})

    def _open(self, page: str) -> None:
        if self._shown is not None:
            there, other = self._shown
            self._speech.forget(other)
            if there != page:
                self.send({"page": there, "state": "taken"})

        def send(message: bytes) -> None:
            self.send({"page": page}, [message])

        self._shown = page, send
        self.send({"page": page, "state": "open"})
