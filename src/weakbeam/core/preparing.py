"""Told when something takes long before anything is done: loops are compiled, far fields prepared.

Apart from what does it, so that who shows progress need not import a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

COMPILING = "compiling (first run only)"

_watchers: list[Callable[[str], object]] = []


def tell_preparing(what: str) -> None:
    """Tell all watchers, in some words, what is about to be done; from any thread."""
    for watcher in [*_watchers]:
        watcher(what)


@contextmanager
def watching_preparations(watcher: Callable[[str], object]) -> Iterator[None]:
    """Call a function with what is about to be prepared inside the ``with`` block."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)
