"""Lines that whoever calls should see before something is done.

Numbers go up through return values; what cannot wait for these, because it must be told before a
file is read, goes to a listener. The command line prints it; without a listener it is a warning of
the package's logger.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Listener = Callable[[str], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def notice(line: str) -> None:
    """Tell a line."""
    listener = _listener.get()
    if listener is None:
        logging.getLogger("weakbeam").warning("%s", line)
    else:
        listener(line)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Have lines told to a function inside the ``with`` block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
