"""Ctrl-C, which is to end a program in one line, wherever it comes.

Python raises `KeyboardInterrupt` in whatever it is doing. Where that was called by a library in C
(HDF5 writing through Python, numba compiling, numpy calling back), the library may make something
else of it: a `RuntimeError` or `SystemError`, or nothing but a traceback on stderr, after which the
program goes on. So it is noted that Ctrl-C has come: what else is raised then stands for it, and
what a library has swallowed comes again.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_AGAIN_S = 0.05
"""After this time what has been swallowed comes again."""


class _State:
    """Whether this program is inside of :func:`one_line_each`, and Ctrl-C has come there."""

    inside = False
    came = False
    broken_off = False
    """Whether Ctrl-C has ended what was last inside."""
    hooked = False


@contextmanager
def telling_interrupts() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for whatever a library has made of it."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except Exception:
        if not _State.came:
            raise
        raise KeyboardInterrupt from None


@contextmanager
def one_line_each() -> Iterator[None]:
    """Have Ctrl-C raise `KeyboardInterrupt` out of the ``with`` block, and print nothing itself.

    Notes
    -----
    For programs: it handles the signal, and what Python prints of exceptions that nothing can
    catch. Outside of the main thread, and where the signal is ignored as for programs in the
    background, it does nothing.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _hook()
    _State.inside, _State.came, _State.broken_off = True, False, False
    signal.signal(signal.SIGINT, _handle)
    try:
        with telling_interrupts():
            yield
    except KeyboardInterrupt:
        _State.broken_off = True
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _State.inside = _State.came = False


def _handle(number: int, frame: FrameType | None) -> None:
    _State.came = True
    raise KeyboardInterrupt


def _hook() -> None:
    """Put what sees interrupts that nothing can catch before what prints other exceptions."""
    if _State.hooked:
        return
    _State.hooked = True
    unraisable, in_threads = sys.unraisablehook, threading.excepthook

    def swallowed(args: Any) -> None:
        if not isinstance(args.exc_value, KeyboardInterrupt):
            # Objects that were half made when it came stumble over that as they go.
            if not (_State.came or _State.broken_off):
                unraisable(args)
        elif _State.inside:
            again = threading.Timer(_AGAIN_S, signal.pthread_kill, _main_and_signal())
            again.daemon = True
            again.start()
        # Else the program waits for its threads to end, and nothing could be lost.

    def died(args: Any) -> None:
        # Threads stumble over what the main thread takes away while it ends.
        if not _State.came:
            in_threads(args)

    sys.unraisablehook, threading.excepthook = swallowed, died


def _main_and_signal() -> tuple[int, int]:
    main = threading.main_thread().ident
    assert main is not None
    return main, signal.SIGINT
