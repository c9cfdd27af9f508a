"""A process that computes files of a sweep for another one.

It reads a line of JSON for each file and writes lines of JSON: first how many workers of its kind
have room in memory, then what it does. It ends when its input ends.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import traceback
from queue import SimpleQueue
from typing import IO, Any

_SHARE_OF_MEMORY = 0.8


def work(jobs: IO[bytes], answers: IO[bytes]) -> None:
    """Compute files until there are no more jobs.

    Parameters
    ----------
    jobs : binary file
        The first line tells ``folder``, ``digest`` and ``directory``; each further one ``shard``
        and ``threads``.
    answers : binary file
        Gets lines with ``room``, ``tick``, ``done`` or ``error``.
    """
    try:
        _work(jobs, answers)
    except BaseException:
        # An ordinary end of the program would wait for the thread that reads, and abort.
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _work(jobs: IO[bytes], answers: IO[bytes]) -> None:
    about = json.loads(jobs.readline())
    queue: SimpleQueue[dict[str, Any]] = SimpleQueue()
    # Another thread reads, to notice at once that the process that wants the files is gone.
    threading.Thread(target=_receive, args=(jobs, queue), daemon=True).start()

    def say(**answer: object) -> None:
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()

    from weakbeam.batch.shard import compute_shard
    from weakbeam.errors import InputError, RunError

    # What has been imported stays: no use looking through it for garbage again and again.
    gc.freeze()
    say(room=_room(about["folder"], about["digest"]))
    while True:
        job = queue.get()
        try:
            tasks, failures = compute_shard(
                about["folder"],
                about["digest"],
                job["shard"],
                job["threads"],
                about["directory"],
                lambda tasks: say(tick=tasks),
            )
        except (InputError, RunError) as error:
            say(error=str(error))
        else:
            say(done=job["shard"], tasks=tasks, failures=failures)


def _receive(jobs: IO[bytes], queue: SimpleQueue[dict[str, Any]]) -> None:
    for line in jobs:
        queue.put(json.loads(line))
    # Nothing is lost: a file of images appears under its name when it is complete, or not at all.
    os._exit(0)


def _room(folder: str, digest: str) -> int:
    """How many workers have room in the memory of this machine."""
    from pathlib import Path

    from weakbeam.batch.folder import SweepFolder
    from weakbeam.batch.manifest import read_sweep
    from weakbeam.estimate import estimate, frame_type, physical_memory

    base = read_sweep(SweepFolder(Path(folder)).plan(digest)).base
    pixels = base.camera.pixels[0] * base.camera.pixels[1]
    frames = float(base.scan.frames * pixels * frame_type(base).itemsize)
    needed = estimate(base, 1).memory + 2.0 * frames
    return int(max(1.0, min(_SHARE_OF_MEMORY * physical_memory() / needed, 1e6)))
