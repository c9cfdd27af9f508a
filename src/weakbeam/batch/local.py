"""Files of a sweep computed by processes of this computer, which are started once and stay."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from queue import SimpleQueue
from typing import Any

from weakbeam.batch.events import Event, Finished, Lost, Ticked
from weakbeam.core.processes import Child, Failed
from weakbeam.core.workers import worker_count
from weakbeam.errors import RunError


@dataclass
class _State:
    """What a process is doing."""

    shard: int | None = None
    ticked: int = 0
    ready: bool = False


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
    _team: dict[Child, _State] = field(default_factory=dict, init=False)
    _answers: SimpleQueue[tuple[Child, Any]] = field(default_factory=SimpleQueue, init=False)

    def __call__(self, shards: Iterator[int]) -> Iterator[Event]:
        """Compute files; see `weakbeam.batch.events.Executor`."""
        try:
            yield from self._run(shards)
        finally:
            for child in [*self._team]:
                self._dismiss(child)

    @property
    def pids(self) -> list[int]:
        """Numbers of the processes."""
        return [child.pid for child in self._team]

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
            child, answer = self._answers.get()
            if child not in self._team:
                continue
            state = self._team[child]
            if answer is None:
                reason = child.last_words()
                self._dismiss(child)
                if not state.ready:
                    deaths += 1
                    if deaths > self.retries:
                        raise RunError(f"a worker does not start: {reason}")
                elif state.ticked:
                    yield Ticked(-state.ticked)
                if state.shard is not None:
                    tries[state.shard] = tries.get(state.shard, 0) + 1
                    if tries[state.shard] > self.retries:
                        yield Lost(state.shard, reason)
                    else:
                        again.append(state.shard)
                self._start()
                continue
            if isinstance(answer, Failed):
                raise RunError(answer.reason)
            if "tick" in answer:
                state.ticked += answer["tick"]
                yield Ticked(answer["tick"])
                continue
            if "room" in answer:
                state.ready = True
                if self.workers is None and len(self._team) > answer["room"]:
                    self._dismiss(child)
                    continue
            if "done" in answer:
                yield Finished(answer["done"], answer["tasks"], answer["failures"])
            state.shard, state.ticked = None, 0
            shard = again.pop() if again else next(waiting, None)
            if shard is None:
                self._dismiss(child)
                continue
            state.shard = shard
            threads = self.threads or max(1, cores // len(self._team))
            child.send({"shard": shard, "threads": threads})

    def _dismiss(self, child: Child) -> None:
        del self._team[child]
        child.end()

    def _start(self) -> None:
        child = Child("weakbeam.batch.worker.work", lambda *pair: self._answers.put(pair))
        self._team[child] = _State()
        child.send({"folder": self.folder, "digest": self.digest, "directory": os.getcwd()})
