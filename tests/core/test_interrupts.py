"""Ctrl-C, whatever a library makes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from weakbeam.core.interrupts import one_line_each, telling_interrupts

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def press():
    os.kill(os.getpid(), signal.SIGINT)


def made_of_it():
    """A library that tells of Ctrl-C in its own words."""
    try:
        press()
    except KeyboardInterrupt:
        raise RuntimeError("unable to write (write callback failed)") from None


def test_what_a_library_makes_of_it_is_an_interrupt():
    with pytest.raises(KeyboardInterrupt), one_line_each():
        made_of_it()


def test_other_errors_are_themselves():
    with pytest.raises(RuntimeError, match="mine"), one_line_each():
        raise RuntimeError("mine")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ValueError, match="other"), telling_interrupts():
        raise ValueError("other")


def test_nothing_is_left_of_an_interrupt():
    with pytest.raises(KeyboardInterrupt), one_line_each():
        press()
    test_other_errors_are_themselves()


SWALLOWED = """
import os, signal, time
from weakbeam.core.interrupts import one_line_each

class Ignoring:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)

try:
    with one_line_each():
        one = Ignoring()
        del one
        print("swallowed", flush=True)
        time.sleep(20)
        print("went on")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_what_a_library_swallows_comes_again():
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWED], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["swallowed", "interrupted"]
    assert done.stderr == ""


HALF_MADE = """
import os, signal
from weakbeam.core.interrupts import one_line_each

class Half:
    def __init__(self):
        os.kill(os.getpid(), signal.SIGINT)
        self.name = "made"
    def __del__(self):
        del self.name

{first}
try:
    with one_line_each():
        kept = Half.__new__(Half)
        kept.__init__()
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(("first", "told"), [("", False), ("Half.__new__(Half)", True)])
def test_half_made_objects_go_without_a_word(first, told):
    done = subprocess.run(
        [sys.executable, "-c", HALF_MADE.format(first=first)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["interrupted"]
    assert ("AttributeError" in done.stderr) == told
