"""Other Python processes of this computer, at the ends of pipes.

They are not those of `multiprocessing`: they import none of the user's programs, so that these need
no guard against being started again, and which of them has died is known. What goes through the
pipes is pickled.
"""

from __future__ import annotations

import gc
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from queue import SimpleQueue
from typing import IO, Any

from weakbeam.errors import InputError, RunError

Say = Callable[[object], None]
"""Sends an answer to the process that has started this one."""

# Nothing that is imported at the start is garbage.
_PROGRAM = """
import gc, pickle, sys
gc.disable()
sys.path[:] = pickle.load(sys.stdin.buffer)
from weakbeam.core.processes import serve
serve()
"""

_ONE_THREAD_EACH = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # The images of one job take the memory of the last one's: given back to the system (by glibc)
    # and taken again, it would be filled with zeros each time, 5 to 20 % of a small job.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
}
"""Environment of processes that share the cores."""

_AHEAD = 2
"""Jobs that a process has at a time, so that it need not wait for the next."""


@dataclass(frozen=True)
class Failed:
    """The answer to a job that cannot be done.

    Parameters
    ----------
    reason : str
        One line.
    """

    reason: str


def can_start() -> bool:
    """Whether other Python processes can be started from this one."""
    # In a program made of one file (PyInstaller) `executable` is that program, not Python.
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def start_python(
    function: str, errors: int | IO[bytes], environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that calls a function with its two pipes.

    Parameters
    ----------
    function : str
        Module and name, such as ``"weakbeam.batch.worker.work"``.
    errors : file
        Where its messages go, as for `subprocess.Popen`.
    environment : mapping of str to str, optional
        What its environment has besides this process's.

    Raises
    ------
    OSError
        If it cannot be started.
    """
    process = subprocess.Popen(
        # -P: the folder that a user stands in must not hide Python's own modules.
        [sys.executable, "-P", "-c", _PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        env=os.environ | dict(environment or {}),
        # Ctrl-C at the terminal is for this process, which then ends the others.
        process_group=0 if sys.platform != "win32" else None,
    )
    assert process.stdin is not None
    # That it has died already is noticed when its answers end.
    with suppress(OSError):
        process.stdin.write(pickle.dumps(sys.path) + pickle.dumps(function))
        process.stdin.flush()
    return process


def serve() -> None:
    """Call the function that the other process has asked for with the two pipes."""
    function: str = pickle.load(sys.stdin.buffer)
    answers = os.fdopen(os.dup(1), "wb")
    # What is printed must not come between the answers.
    os.dup2(2, 1)
    module, _, name = function.rpartition(".")
    getattr(import_module(module), name)(sys.stdin.buffer, answers)


class Child:
    """A process that does jobs for this one.

    Parameters
    ----------
    function : str
        What it does; see :func:`start_python`.
    hear : callable
        Called in a thread with this and every answer; with None when no more will come.
    """

    def __init__(self, function: str, hear: Callable[[Child, Any], None]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        self._process = start_python(function, self._errors, _ONE_THREAD_EACH)
        threading.Thread(target=self._listen, args=(hear,), daemon=True).start()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def send(self, message: object) -> None:
        """Send a message, which must be small: this waits until there is room in the pipe."""
        assert self._process.stdin is not None
        # That the process has died is noticed when its answers end.
        with suppress(OSError):
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def end(self) -> None:
        """End the process, whatever it is doing, and wait until it is gone."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()

    def last_words(self) -> str:
        """How the process ended, in one line."""
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        if status < 0:
            with suppress(ValueError):
                return f"its process was ended by {signal.Signals(-status).name}"
        return lines[-1] if lines else f"its process ended with status {status}"

    def _listen(self, hear: Callable[[Child, Any], None]) -> None:
        assert self._process.stdout is not None
        # A process that is killed may leave half an answer.
        broken = suppress(OSError, ValueError, EOFError, pickle.UnpicklingError)
        with broken, self._process.stdout as answers:
            while True:
                hear(self, pickle.load(answers))
        hear(self, None)


def attend(
    jobs: IO[bytes], answers: IO[bytes], start: Callable[[Any, Say], Callable[[Any], None]]
) -> None:
    """Do jobs for the process at the other end of the pipes until it is gone.

    Parameters
    ----------
    jobs, answers : binary file
        The pipes.
    start : callable
        Called with the first message and what sends answers; returns what does a job, which is
        called with every further message. :class:`Failed` is the answer if either is refused.
    """
    try:
        _attend(jobs, answers, start)
    except BaseException:
        # An ordinary end of the program would wait for the thread that reads, and abort.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _attend(
    jobs: IO[bytes], answers: IO[bytes], start: Callable[[Any, Say], Callable[[Any], None]]
) -> None:
    queue: SimpleQueue[Any] = SimpleQueue()
    # Another thread reads, to notice at once that the process at the other end is gone.
    threading.Thread(target=_receive, args=(jobs, queue), daemon=True).start()

    def say(answer: object) -> None:
        pickle.dump(answer, answers)
        answers.flush()

    do: Callable[[Any], None] | None = None
    while True:
        message = queue.get()
        try:
            if do is None:
                do = start(message, say)
                # What has been imported stays: no use looking through it for garbage.
                gc.freeze()
                gc.enable()
            else:
                do(message)
        except (InputError, RunError) as error:
            say(Failed(str(error)))


def _receive(jobs: IO[bytes], queue: SimpleQueue[Any]) -> None:
    with suppress(EOFError, OSError, pickle.UnpicklingError):
        while True:
            queue.put(pickle.load(jobs))
    # Whoever wanted the results is gone. Files appear under their names when they are complete.
    os._exit(0)


def results_in_order(
    function: str, about: object, jobs: Iterable[object], processes: int
) -> Iterator[Any]:
    """Have some processes do jobs; results come in the order of the jobs.

    Only a few jobs are taken ahead of the result that is asked for.

    Parameters
    ----------
    function : str
        What the processes do; it must :func:`attend` to the pipes and answer every job once.
    about : object
        Their first message.
    jobs : iterable
        Further messages, one for each job.
    processes : int
        How many.

    Yields
    ------
    object
        The answer to each job.

    Raises
    ------
    RunError
        If a job cannot be done, or a process dies.
    """
    heard: SimpleQueue[tuple[Child, Any]] = SimpleQueue()
    doing: dict[Child, deque[int]] = {}
    done: dict[int, Any] = {}
    waiting, following = enumerate(jobs), 0
    try:
        for _ in range(processes):
            child = Child(function, lambda *pair: heard.put(pair))
            doing[child] = deque()
            child.send(about)
        while True:
            while following in done:
                yield done.pop(following)
                following += 1
            for child, numbers in [*doing.items()] * _AHEAD:
                # None runs far ahead of a slow one.
                if len(numbers) < _AHEAD and len(done) <= _AHEAD * processes:
                    for number, job in islice(waiting, 1):
                        numbers.append(number)
                        child.send(job)
            if not any(doing.values()):
                return
            child, answer = heard.get()
            if answer is None:
                raise RunError(f"a worker is lost: {child.last_words()}")
            if isinstance(answer, Failed):
                raise RunError(answer.reason)
            done[doing[child].popleft()] = answer
    finally:
        for child in doing:
            child.end()
