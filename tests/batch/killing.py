"""A sweep in a process of its own, which is killed, as are those that compute for it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from small_sweeps import fingerprints, reference, small_sweep, tables

from weakbeam.batch.status import sweep_status
from weakbeam.io.lock import is_running

PER_FILE = 5

# It tells of what is newly done and waits for a line, so that it is never ahead of the test.
DRIVER = """
import sys
sys.path[:0] = [{tests!r}]
from small_sweeps import small_sweep
from weakbeam.experiment.sweep import ExecutorOptions
from weakbeam.batch import jobs
from weakbeam.batch.events import Found
from weakbeam.batch.run import run_sweep
def watch(event):
    if not isinstance(event, Found):
        print(type(event).__name__, flush=True)
        sys.stdin.readline()
if __name__ == "__main__":
    jobs._LOOK_EVERY = 0.5
    angles = "scan.chi.value_mrad", [0.01 * n for n in range({tasks})]
    sweep = small_sweep(angles, per_shard={per_file})
    options = ExecutorOptions(workers=2, retries=9, **{options})
    run_sweep(sweep, sys.argv[1], options, resume=True, watch=watch)
"""


def start_driver(path: Path, program: str) -> subprocess.Popen[str]:
    """Start a sweep, which waits for a line after every line that it writes."""
    return subprocess.Popen(
        [sys.executable, "-c", program, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(pid: int) -> list[int]:
    """Numbers of the processes that a process has started and that compute."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], check=True, capture_output=True, text=True
    )
    # Python's multiprocessing has one process more, which only looks after the others.
    lines = [line for line in listed.stdout.splitlines() if "resource_tracker" not in line]
    parts = [line.split(maxsplit=2) for line in lines]
    return [int(child) for child, parent, *_ in parts if int(parent) == pid]


def all_end(pids: Sequence[int], within: float) -> bool:
    """Whether all processes end within a time (s)."""
    for _ in range(int(within / 0.05)):
        if not any(map(is_running, pids)):
            return True
        time.sleep(0.05)
    return False


def kill_process(rng: random.Random, driver: int) -> None:
    """Kill one of the processes that a driver has started."""
    # There may be none for a moment, or it ends by itself just now.
    with suppress(IndexError, ProcessLookupError):
        os.kill(rng.choice(children(driver)), signal.SIGKILL)


def kill_and_resume(
    folder: Path,
    tasks: int,
    victims: Sequence[str],
    events: tuple[int, int],
    kill_one: Callable[[random.Random, int], None] = kill_process,
    left_behind: Callable[[int], list[int]] = children,
    within: float = 10.0,
    per_file: int = PER_FILE,
    **options: Any,
) -> None:
    """Kill workers and drivers, one by one, each after some events; then let the sweep end.

    Parameters
    ----------
    folder : Path
        For the files.
    tasks : int
        Tasks of the sweep.
    victims : sequence of str
        ``worker`` or ``driver``, in the order of their end.
    events : int, int
        Fewest and most events before each.
    kill_one : callable
        Kills a worker of the driver of this number.
    left_behind : callable
        Processes that are to end by themselves when the driver of this number is killed.
    within : float
        In which time (s) after the end of the sweep at the latest.
    per_file : int
        Tasks in a file.
    **options
        Of the executor.
    """
    sweep = small_sweep(
        ("scan.chi.value_mrad", [0.01 * n for n in range(tasks)]), per_shard=per_file
    )
    files, index = reference(sweep, folder / "here")
    path = folder / "killed"
    program = DRIVER.format(
        tests=os.path.dirname(__file__), tasks=tasks, per_file=per_file, options=options
    )
    rng = random.Random(1)
    done, widows = 0, []
    driver = start_driver(path, program)
    for victim in victims:
        for _ in range(rng.randint(*events)):
            assert driver.stdout.readline(), "the sweep has ended before all have been killed"
            driver.stdin.write("\n")
            driver.stdin.flush()
        # Somewhere within a task.
        time.sleep(rng.uniform(0.0, 0.05))
        if victim == "worker":
            kill_one(rng, driver.pid)
            continue
        widows += left_behind(driver.pid)
        driver.kill()
        driver.communicate()
        now = sweep_status(path).done
        # What was complete stays so.
        assert done <= now < tasks
        done = now
        driver = start_driver(path, program)
    _, errors = driver.communicate(timeout=120)
    assert driver.returncode == 0, errors
    assert fingerprints(path) == files
    assert tables(path) == index
    assert not sweep_status(path).damaged
    assert all_end(widows, within)
