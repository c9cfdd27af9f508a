"""Progress: amounts that read, and a word while loops are compiled."""

import io
from contextlib import contextmanager, redirect_stderr

import pytest

from weakbeam.cli import progress as shown
from weakbeam.cli.progress import amount_text, progress
from weakbeam.core.preparing import COMPILING, tell_preparing, watching_preparations


@pytest.mark.parametrize(
    ("done", "total", "unit", "text"),
    [
        (26e6, 1e8, "ray", "26 of 100 million rays"),
        (2.5e6, 3e6, "ray", "2.5 of 3 million rays"),
        (0, 2e9, "ray", "0 of 2 billion rays"),
        (12, 3721, "frame", "12 of 3,721 frames"),
        (0, 1, "frame", "0 of 1 frame"),
        (40, 100, "percent", ""),
    ],
)
def test_amounts_are_told_in_words(done, total, unit, text):
    assert amount_text(done, total, unit) == text


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True

    def drawn(self):
        """What was drawn since the last call, line by line."""
        lines = [line.strip() for line in self.getvalue().split("\r") if line.strip()]
        self.seek(0)
        self.truncate()
        return lines


@contextmanager
def on_terminal():
    """Give what was drawn, when asked. Not a fixture: pytest sets its own stream for each test."""
    stream = Terminal()
    with redirect_stderr(stream):
        yield stream.drawn


def test_a_bar_says_that_loops_are_compiled():
    with on_terminal() as terminal, progress(41.0, "frame", "simulating") as update:
        tell_preparing(COMPILING)
        assert terminal()[-1] == f"{COMPILING}, 0 s"
        update(5.0)
        bar = terminal()
        update(36.0)
    assert COMPILING not in bar[-1]
    assert "5 of 41 frames" in bar[-1]


def test_a_bar_tells_amounts():
    with on_terminal() as terminal, progress(1e8, "ray", "tracing") as update:
        tell_preparing(COMPILING)
        terminal()
        update(2.6e7)
        assert "| 26 of 100 million rays," in terminal()[-1]


def test_nothing_is_said_of_the_time_that_is_left_before_there_is_something_done():
    with on_terminal() as terminal, progress(1.0, "frame", "simulating") as update:
        tell_preparing("preparing the far field")
        assert terminal()[-1] == "preparing the far field, 0 s"
        update(1e-6)
        assert terminal()[-1].endswith("| 0 of 1 frame")
        update(0.5)
        tell_preparing("again")
        update(0.1)
        assert terminal()[-1].endswith(" left")


def test_a_log_has_a_line_now_and_then(monkeypatch, capsys):
    monkeypatch.setattr(shown, "LINE_EVERY_SECONDS", 0.0)
    with progress(1e8, "ray", "tracing") as update:
        update(2.6e7)
    with progress(100.0, "percent", "maps") as update:
        update(40.0)
    with progress(1.0, "frame", "simulating") as update:
        update(1e-6)
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.startswith("tracing: 26 of 100 million rays, about ")
    assert second.startswith("maps: 40%, about ")
    assert third == "simulating: 0 of 1 frame"


def test_quiet_shows_nothing():
    with (
        on_terminal() as terminal,
        progress(1.0, "frame", "simulating", quiet=True) as update,
    ):
        tell_preparing(COMPILING)
        update(1.0)
        assert terminal() == []


def test_the_compiler_is_watched(tmp_path):
    numba = pytest.importorskip("numba")
    import weakbeam.core.compiled  # noqa: F401 (tells)

    seen = []
    twice = numba.njit(lambda x: 2 * x)
    with watching_preparations(lambda what: seen.append(1)):
        assert twice(3) == 6
        first = len(seen)
        twice(4)
    assert first == len(seen) >= 1
    assert numba.njit(lambda x: x + 1)(1) == 2
    assert len(seen) == first


def test_a_movie_is_drawn_in_small_steps(tmp_path):
    from weakbeam.experiment import Experiment
    from weakbeam.measured.pictures import movie_picture, scan_or_image
    from weakbeam.run.record import record

    keys = ["camera.pixels=[6, 8]", "scan.phi.half_range_mrad=0.3", "scan.phi.steps=5"]
    file = record(Experiment().with_settings([*keys, "output.figures=false"]), tmp_path).file
    steps = []
    movie_picture(scan_or_image(file, "1.1"), "gif", progress=steps.append)
    assert steps == [1.0] * 5
