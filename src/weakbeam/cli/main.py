"""The programs, as they are started: Ctrl-C is in hand before what takes time is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from weakbeam.core.interrupts import one_line_each

_INTERRUPTED = 130
"""Status of a program that Ctrl-C has ended."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``weakbeam``; ends the process with status 0, 1 or 2."""
    _run("weakbeam", arguments)


def dfxm_init() -> None:
    """Run ``dfxm-init``: ``weakbeam init`` into the folder configs."""
    _run("dfxm-init")


def dfxm_forward() -> None:
    """Run ``dfxm-forward``: ``weakbeam forward`` for files of dfxm-geo, too."""
    _run("dfxm-forward")


def dfxm_bootstrap() -> None:
    """Run ``dfxm-bootstrap``: ``weakbeam bootstrap`` for files of dfxm-geo, too."""
    _run("dfxm-bootstrap")


def dfxm_find_reflections() -> None:
    """Run ``dfxm-find-reflections``: ``weakbeam reflections`` for files of dfxm-geo, too."""
    _run("dfxm-find-reflections")


def dfxm_identify() -> None:
    """Run ``dfxm-identify``: ``weakbeam identify generate`` for files of dfxm-geo, too."""
    _run("dfxm-identify")


def _run(name: str, arguments: Sequence[str] | None = None) -> None:
    try:
        with one_line_each():
            from weakbeam.cli.program import run

            run(name, arguments)
    except KeyboardInterrupt:
        sys.stderr.write("weakbeam: interrupted\n")
    except SystemExit as end:
        if end.code != _INTERRUPTED:
            raise
    if arguments is None:
        _leave()
    sys.exit(_INTERRUPTED)


def _leave() -> None:
    """End the program now.

    All that has to be closed is closed; what Python does at its end would wait for threads that
    may wait for a lock of what was broken off, and takes apart what was half made.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(_INTERRUPTED)
