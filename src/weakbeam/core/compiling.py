"""Told when loops are compiled, which takes long the first time that a version runs.

Apart from :mod:`weakbeam.core.compiled`, so that who shows progress need not import a compiler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_watchers: list[Callable[[], object]] = []


def tell_compiling() -> None:
    """Tell all watchers that a loop is about to be compiled; from any thread."""
    for watcher in [*_watchers]:
        watcher()


@contextmanager
def watching_compiler(watcher: Callable[[], object]) -> Iterator[None]:
    """Call a function before each loop that is compiled inside the ``with`` block."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)
