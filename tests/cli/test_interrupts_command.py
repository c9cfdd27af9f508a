"""Ctrl-C at any moment of a command: one line, and what is there can be resumed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from weakbeam.io.reading import frames_done

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

# Ctrl-C comes at the N-th call of a function after the start, wherever that is.
PROGRAM = """
import faulthandler, os, signal, sys
faulthandler.register(signal.SIGUSR1)
left = int(sys.argv[1])
calls = 0

def count(frame, event, argument):
    global calls
    calls += 1
    if calls == left:
        sys.setprofile(None)
        os.kill(os.getpid(), signal.SIGINT)

from weakbeam.cli.main import main
sys.setprofile(count)
del sys.argv[1]
try:
    main()
finally:
    sys.setprofile(None)
    print(calls)
"""
LAYERS = [
    "forward",
    "-o",
    "run",
    "--quiet",
    "--set=camera.pixels=[8, 10]",
    "--set=camera.oversampling=point",
    "--set=scan.z.half_range_um=2",
    "--set=scan.z.steps=4",
    "--set=scan.phi.half_range_mrad=0.3",
    "--set=scan.phi.steps=3",
    "--set=output.layout=bliss",
    "--set=output.figures=false",
]


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def ended(child, timeout=120):
    """What a child has said; one that does not end is ended, and says where it was."""
    try:
        return child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGUSR1)
        time.sleep(1)
        child.kill()
        raise AssertionError("it does not end: " + child.communicate()[1]) from None


def is_interrupted(status, said):
    """Python ends by the signal itself where it came while a module in C was imported."""
    assert "Traceback" not in said, said
    assert len(said.splitlines()) == 1, said
    assert said.startswith("weakbeam: interrupted"), said
    return status in (130, -signal.SIGINT)


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """How many calls the command takes."""
    child = start(tmp_path_factory.mktemp("whole"), "-c", PROGRAM, "0", *LAYERS)
    out, said = ended(child)
    assert child.returncode == 0, said
    return int(out.splitlines()[-1])


@pytest.mark.parametrize("share", [0.01, 0.2, 0.5, 0.9, 0.97])
def test_one_line_at_any_call(tmp_path, calls, share):
    child = start(tmp_path, "-c", PROGRAM, str(int(share * calls)), *LAYERS)
    _, said = ended(child)
    assert is_interrupted(child.returncode, said)
    if (tmp_path / "run" / "weakbeam.h5").exists():
        assert frames_done(tmp_path / "run" / "weakbeam.h5")
    assert not (tmp_path / "run" / "weakbeam.lock").exists()


def test_threads_that_never_end_are_not_waited_for(tmp_path):
    """One that holds up Python's own end: it waits for a lock that nobody lets go."""
    stuck = (
        "import os, signal, sys, threading\n"
        "lock = threading.Lock()\n"
        "lock.acquire()\n"
        "threading.Thread(target=lock.acquire).start()\n"
        "import weakbeam.cli.program as program\n"
        "program._run = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
        "from weakbeam.cli.main import main\n"
        "main()\n"
    )
    child = start(tmp_path, "-c", stuck)
    _, said = ended(child, 60)
    assert is_interrupted(child.returncode, said)


@pytest.mark.slow
@pytest.mark.parametrize("share", [k / 40 for k in range(1, 40)])
def test_one_line_at_many_calls(tmp_path, calls, share):
    test_one_line_at_any_call(tmp_path, calls, share)


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["single", "bliss"])
def test_one_line_at_many_moments(tmp_path, layout):
    """While HDF5, numba or numpy is at work, too."""
    command = ("-m", "weakbeam", *LAYERS[:-2], f"--set=output.layout={layout}")
    begun = time.monotonic()
    child = start(tmp_path, *command)
    ended(child, 300)
    whole = time.monotonic() - begun
    for moment in range(30):
        folder = tmp_path / str(moment)
        folder.mkdir()
        child = start(folder, *command)
        time.sleep(0.15 + whole * moment / 30)
        child.send_signal(signal.SIGINT)
        _, said = ended(child)
        # Nothing is said where it came after the end.
        if child.returncode and said:
            assert is_interrupted(child.returncode, said)


def test_a_program_in_the_background_is_left_alone(tmp_path):
    """Where a shell has the signal ignored."""
    ignoring = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
    press = "import os; os.kill(os.getpid(), signal.SIGINT)\n"
    run = "from weakbeam.cli.main import main; main(['--version'])"
    child = start(tmp_path, "-c", ignoring + press + run)
    out, said = ended(child, 60)
    assert (child.returncode, said) == (0, "")
    assert "weakbeam" in out
    assert os.getpid() != child.pid
