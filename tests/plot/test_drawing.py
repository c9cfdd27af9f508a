"""Figures are the same whether another process draws them or, if that fails, this one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from threading import Timer

import numpy as np
import pytest

from weakbeam.plot.drawing import Artist, Drawing
from weakbeam.plot.view import View

CURVE = Drawing("weakbeam.plot.rocking.rocking_figure", ([-1.0, 0.0, 1.0], [0.0, 1.0, 0.0]))
IMAGE = Drawing(
    "weakbeam.plot.image.image_figure",
    (np.arange(12.0).reshape(3, 4), View.of_pixels((3, 4))),
    {"phi_mrad": 0.15},
)


@cache
def drawn_here():
    """What both figures are when this process draws them."""
    return {"curve": CURVE.picture(), "image": IMAGE.picture()}


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def forbid_drawing(monkeypatch):
    """Let only the other process draw."""

    def fail(self, suffix=".png"):
        raise AssertionError("drawn in this process")

    monkeypatch.setattr(Drawing, "picture", fail)


@pytest.fixture
def elsewhere(monkeypatch):
    forbid_drawing(monkeypatch)


def pictures_of(drawings):
    with Artist() as artist:
        artist.submit(drawings)
        return artist.finish()


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def ends(pid, seconds=20.0):
    limit = time.monotonic() + seconds
    while is_alive(pid) and time.monotonic() < limit:
        time.sleep(0.02)
    return not is_alive(pid)


def test_pictures_are_those_of_this_process(monkeypatch):
    here = drawn_here()
    forbid_drawing(monkeypatch)
    assert pictures_of({"curve": CURVE, "image": IMAGE}) == here


def test_nothing_to_draw_starts_nothing(monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("started")

    monkeypatch.setattr(subprocess, "Popen", fail)
    with Artist() as artist:
        assert artist.finish() == {}


@pytest.mark.parametrize("executable", ["", None, "/nowhere/python", sys.executable])
def test_drawn_here_without_another_python(monkeypatch, executable):
    if executable == sys.executable:
        # Where it finds no modules the other process ends at once.
        monkeypatch.setattr(sys, "path", ["/nowhere"])
    monkeypatch.setattr(sys, "executable", executable)
    assert pictures_of({"curve": CURVE, "image": IMAGE}) == drawn_here()


def test_a_program_in_one_file_is_not_started_again(monkeypatch):
    def fail(*arguments, **options):
        raise AssertionError("started")

    monkeypatch.setattr(subprocess, "Popen", fail)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert pictures_of({"curve": CURVE}) == {"curve": drawn_here()["curve"]}


@pytest.mark.parametrize("end", ["terminate", "kill"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_drawn_here_if_the_other_process_is_killed(end, moment):
    with Artist() as artist:
        artist.start()
        if moment == "after":
            artist.submit({"curve": CURVE, "image": IMAGE})
        getattr(artist._process, end)()
        artist._process.wait()
        if moment == "before":
            artist.submit({"curve": CURVE, "image": IMAGE})
        assert artist.finish() == drawn_here()


def test_a_figure_that_fails_tells_why_and_others_are_drawn():
    wrong = Drawing("weakbeam.plot.rocking.rocking_figure", ([], []))
    with pytest.raises(ValueError, match="at least one position"):
        pictures_of({"curve": CURVE, "wrong": wrong})


@pytest.mark.skipif(sys.platform == "win32", reason="processes cannot be halted")
@pytest.mark.usefixtures("elsewhere")
def test_a_slow_process_does_not_hold_up_this_one():
    # More than a pipe holds.
    large = Drawing(
        "weakbeam.plot.image.image_figure", (np.ones((300, 400)), View.of_pixels((300, 400)))
    )
    with Artist() as artist:
        artist.start()
        artist._process.send_signal(signal.SIGSTOP)
        go_on = Timer(10.0, artist._process.send_signal, [signal.SIGCONT])
        go_on.start()
        artist.submit({"a": large, "b": large})
        assert go_on.is_alive(), "submit waited for the other process"
        go_on.cancel()
        artist._process.send_signal(signal.SIGCONT)
        assert set(artist.finish()) == {"a", "b"}


@pytest.mark.usefixtures("elsewhere")
def test_modules_are_found_where_this_process_finds_them(tmp_path, monkeypatch):
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "private_figures.py").write_text(
        "from weakbeam.plot.rocking import rocking_figure\n"
        "def figure():\n    return rocking_figure([-1, 0, 1], [0, 1, 0])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "ours"))
    # Modules in the folder in which a user stands hide nothing.
    for name in ("pickle", "gc", "numpy", "matplotlib"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    monkeypatch.chdir(tmp_path)
    assert pictures_of({"a": Drawing("private_figures.figure")})["a"].startswith(b"\x89PNG")


def test_the_other_process_stays_light():
    heavy = ("scipy", "numba", "h5py", "pydantic", "gemmi", "click")
    code = f"import sys, weakbeam.plot.process; print([n for n in {heavy} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_describing_figures_does_not_import_matplotlib():
    code = "import sys, weakbeam.run.figures; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@on_linux
@pytest.mark.parametrize(
    "end", ["os.kill(os.getpid(), 9)", "raise KeyboardInterrupt", "os._exit(0)"]
)
def test_the_other_process_ends_with_this_one(end):
    code = (
        "import os\n"
        "from weakbeam.plot.drawing import Artist\n"
        "with Artist() as artist:\n"
        "    artist.start()\n"
        "    print(artist._process.pid, flush=True)\n"
        f"    {end}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ends(int(done.stdout))


@on_linux
def test_interrupt_is_quiet_and_leaves_no_figures(tmp_path):
    """Ctrl-C at a terminal goes to all processes of the foreground."""
    code = (
        "import os, signal, sys\n"
        "import weakbeam.run.record as recording\n"
        "from weakbeam.cli.main import main\n"
        "from weakbeam.plot.drawing import Artist\n"
        "submit = Artist.submit\n"
        "def interrupted(self, drawings):\n"
        "    submit(self, drawings)\n"
        "    print(self._process.pid, flush=True)\n"
        "    os.killpg(0, signal.SIGINT)\n"
        "Artist.submit = interrupted\n"
        f"main(['forward', '-o', {str(tmp_path / 'run')!r}, '--set', 'camera.pixels=[9, 12]'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, start_new_session=True
    )
    assert done.returncode == 130
    assert done.stderr.strip() == "weakbeam: interrupted; nothing was written"
    assert not (tmp_path / "run" / "figures").exists()
    assert ends(int(done.stdout))
