"""Files of a sweep computed by processes of this computer.

The processes are started once and stay. They are plain Python processes at the ends of pipes, not
those of `multiprocessing`: they import none of the user's programs, and which of them has died,
with which file, is known.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from queue import SimpleQueue
from typing import IO, Any

from weakbeam.batch.events import Event, Finished, Lost, Ticked
from weakbeam.errors import RunError
from weakbeam.workers import worker_count

_PROGRAM = """
import json, os, sys
sys.path[:] = json.loads(sys.stdin.buffer.readline())
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)
from weakbeam.batch.worker import work
work(sys.stdin.buffer, answers)
"""

_VARIABLES = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # The images of one task take the memory of the last one's: given back to the system (by glibc)
    # and taken again, it would be filled with zeros each time, 5 to 10 % of a small task.
    "MALLOC_MMAP_THRESHOLD_": str(32 * 2**20),
    "MALLOC_TRIM_THRESHOLD_": str(128 * 2**20),
}
"""Environment of the processes."""


@dataclass(eq=False)
class _Worker:
    """A process, and what it is doing."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    shard: int | None = None
    ticked: int = 0
    ready: bool = False

    def send(self, message: object) -> None:
        assert self.process.stdin is not None
        # That the process has died is noticed when its answers end.
        with suppress(OSError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def dismiss(self) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def end(self) -> None:
        """End the process, whatever it is doing, and wait until it is gone."""
        self.dismiss()
        self.process.kill()
        self.process.wait()
        self.errors.close()

    def last_words(self) -> str:
        """How the process ended, in one line."""
        status = self.process.wait()
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        if status < 0:
            with suppress(ValueError):
                return f"its process was ended by {signal.Signals(-status).name}"
        return lines[-1] if lines else f"its process ended with status {status}"


@dataclass
class LocalExecutor:
    """Computes files of a sweep in processes of this computer.

    Parameters
    ----------
    folder : str
        The folder of the sweep.
    digest : str
        The sweep.
    workers : int, optional
        Processes; as many as there are cores unless given, fewer where memory is short.
    threads : int, optional
        Threads of each; so that no core is idle unless given.
    retries : int
        How often a file is tried again whose process has died.
    """

    folder: str
    digest: str
    workers: int | None = None
    threads: int | None = None
    retries: int = 2
    _team: list[_Worker] = field(default_factory=list, init=False)
    _answers: SimpleQueue[tuple[_Worker, dict[str, Any] | None]] = field(
        default_factory=SimpleQueue, init=False
    )

    def __call__(self, shards: Iterator[int]) -> Iterator[Event]:
        """Compute files; see `weakbeam.batch.events.Executor`."""
        try:
            yield from self._run(shards)
        finally:
            for worker in self._team:
                worker.end()
            self._team.clear()

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes."""
        return [worker.process.pid for worker in self._team]

    def _run(self, shards: Iterator[int]) -> Iterator[Event]:
        cores = worker_count()
        most = self.workers or cores
        first = list(islice(shards, most))
        waiting = chain(first, shards)
        again: list[int] = []
        tries: dict[int, int] = {}
        deaths = 0
        for _ in first:
            self._start()
        while self._team:
            worker, answer = self._answers.get()
            if worker not in self._team:
                continue
            if answer is None:
                reason = worker.last_words()
                worker.end()
                self._team.remove(worker)
                if not worker.ready:
                    deaths += 1
                    if deaths > self.retries:
                        raise RunError(f"a worker does not start: {reason}")
                elif worker.ticked:
                    yield Ticked(-worker.ticked)
                if worker.shard is not None:
                    tries[worker.shard] = tries.get(worker.shard, 0) + 1
                    if tries[worker.shard] > self.retries:
                        yield Lost(worker.shard, reason)
                    else:
                        again.append(worker.shard)
                self._start()
                continue
            if "error" in answer:
                raise RunError(answer["error"])
            if "tick" in answer:
                worker.ticked += answer["tick"]
                yield Ticked(answer["tick"])
                continue
            if "room" in answer:
                worker.ready = True
                if self.workers is None and len(self._team) > answer["room"]:
                    self._dismiss(worker)
                    continue
            if "done" in answer:
                yield Finished(answer["done"], answer["tasks"], answer["failures"])
            worker.shard, worker.ticked = None, 0
            shard = again.pop() if again else next(waiting, None)
            if shard is None:
                self._dismiss(worker)
                continue
            worker.shard = shard
            threads = self.threads or max(1, cores // len(self._team))
            worker.send({"shard": shard, "threads": threads})

    def _dismiss(self, worker: _Worker) -> None:
        worker.end()
        self._team.remove(worker)

    def _start(self) -> None:
        """Start a process, with a thread that waits for its answers."""
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `end`)
        process = subprocess.Popen(
            # -P: the folder that a user stands in must not hide Python's own modules.
            [sys.executable, "-P", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | _VARIABLES,
            # Ctrl-C at the terminal is for this process, which then ends the others.
            process_group=0 if sys.platform != "win32" else None,
        )
        worker = _Worker(process, errors)
        self._team.append(worker)
        threading.Thread(target=self._listen, args=(worker,), daemon=True).start()
        worker.send(sys.path)
        worker.send({"folder": self.folder, "digest": self.digest, "directory": os.getcwd()})

    def _listen(self, worker: _Worker) -> None:
        assert worker.process.stdout is not None
        with suppress(OSError, ValueError), worker.process.stdout as answers:
            for line in answers:
                self._answers.put((worker, json.loads(line)))
        self._answers.put((worker, None))
