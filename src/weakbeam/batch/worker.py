"""A process that computes files of a sweep for another one.

It is told ``folder``, ``digest`` and ``directory``, and answers how many workers of its kind have
``room`` in memory. A job is a ``shard`` with a number of ``threads``; the answers are a ``tick``
for every few tasks, then ``done``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import IO, Any

from weakbeam.core.processes import Say, attend

_SHARE_OF_MEMORY = 0.8


def work(jobs: IO[bytes], answers: IO[bytes]) -> None:
    """Compute files until the process at the other end is gone.

    Parameters
    ----------
    jobs, answers : binary file
        See `weakbeam.core.processes.attend`.
    """
    attend(jobs, answers, _start)


def _start(about: dict[str, Any], say: Say) -> Callable[[dict[str, Any]], None]:
    from weakbeam.batch.shard import compute_shard

    def compute(job: dict[str, Any]) -> None:
        tasks, failures = compute_shard(
            about["folder"],
            about["digest"],
            job["shard"],
            job["threads"],
            about["directory"],
            lambda tasks: say({"tick": tasks}),
        )
        say({"done": job["shard"], "tasks": tasks, "failures": failures})

    say({"room": _room(about["folder"], about["digest"])})
    return compute


def _room(folder: str, digest: str) -> int:
    """How many workers have room in the memory of this machine."""
    from pathlib import Path

    from weakbeam.batch.folder import SweepFolder
    from weakbeam.batch.manifest import read_sweep
    from weakbeam.core.memory import physical_memory
    from weakbeam.run.estimate import estimate, frame_type

    base = read_sweep(SweepFolder(Path(folder)).plan(digest)).base
    pixels = base.camera.pixels[0] * base.camera.pixels[1]
    image_bytes = float(base.scan.frames * pixels * frame_type(base).itemsize)
    needed = estimate(base, 1).memory + 2.0 * image_bytes
    return int(max(1.0, min(_SHARE_OF_MEMORY * physical_memory() / needed, 1e6)))
