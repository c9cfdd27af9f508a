"""How many threads to use."""

from __future__ import annotations

import os


def worker_count(workers: int | None = None) -> int:
    """Number of threads: `workers`, or as many as this process may use cores.

    Raises
    ------
    ValueError
        If `workers` is not positive.
    """
    if workers is not None:
        if workers < 1:
            raise ValueError(f"workers = {workers}: must be at least 1")
        return workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
