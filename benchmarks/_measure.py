"""Costs of functions and of whole processes, and the tables that show them.

This module imports the standard library only. A process that is measured counts the memory of the
one that started it until it has replaced its own program, so the one that measures stays small and
everything that needs numpy runs in a child (see :func:`run_part`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BYTES_PER_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Cost:
    """Wall and CPU time (s) of every repeat, and the largest peak of memory (bytes) if known."""

    walls: tuple[float, ...]
    cpus: tuple[float, ...]
    memory: float | None = None

    @property
    def wall(self) -> float:
        """Median wall time (s)."""
        return statistics.median(self.walls)

    @property
    def cpu(self) -> float:
        """Median CPU time of all threads (s)."""
        return statistics.median(self.cpus)

    def divided_by(self, count: float) -> Cost:
        """The cost of one of `count` equal pieces."""
        return Cost(
            tuple(wall / count for wall in self.walls),
            tuple(cpu / count for cpu in self.cpus),
            self.memory,
        )


def time_calls(function: Callable[[], object], repeats: int = 3) -> Cost:
    """Cost of calling `function`, without its memory; call it once before to warm it up."""
    walls, cpus = [], []
    for _ in range(repeats):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return Cost(tuple(walls), tuple(cpus))


def run_process(
    command: Sequence[str | os.PathLike[str]],
    repeats: int = 1,
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    prepare: Callable[[], Mapping[str, str]] | None = None,
    nice: int = 0,
) -> Cost:
    """Cost of a whole process, from start to exit.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    repeats : int
        Number of runs.
    folder : Path, optional
        Working folder.
    environment : mapping, optional
        Environment variables, added to those of this process.
    prepare : callable, optional
        Called before each run, off the clock; what it returns is added to the environment.
    nice : int
        Added to the priority's niceness.

    Raises
    ------
    RuntimeError
        With the end of what the process said, if it failed.
    """
    walls, cpus, peak = [], [], 0
    lower = ["nice", "-n", str(nice)] if nice else []
    for _ in range(repeats):
        variables = {**os.environ, **(environment or {}), **(prepare() if prepare else {})}
        with tempfile.TemporaryFile() as said:
            start = time.perf_counter()
            process = subprocess.Popen(
                [*lower, *command], cwd=folder, env=variables, stdout=said, stderr=said
            )
            _, status, usage = os.wait4(process.pid, 0)
            walls.append(time.perf_counter() - start)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode != 0:
                said.seek(0)
                tail = said.read().decode(errors="replace")[-2000:]
                raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{tail}")
        cpus.append(usage.ru_utime + usage.ru_stime)
        peak = max(peak, usage.ru_maxrss * _BYTES_PER_RSS_UNIT)
    return Cost(tuple(walls), tuple(cpus), float(peak))


def run_part(module: str, part: str, *arguments: str) -> list[dict[str, float]]:
    """Run one part of a benchmark in a process of its own.

    The module is started with ``--part PART ARGUMENTS`` and answers with :func:`answer`.

    Returns
    -------
    list of dict
        What the part measured; each row has the peak of the process' memory added, in bytes,
        under ``"memory"``.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answer.json"
        command = [sys.executable, "-m", module, "--part", part, *arguments]
        cost = run_process(command, folder=ROOT, environment={"BENCHMARK_ANSWER": str(path)})
        rows: list[dict[str, float]] = json.loads(path.read_text())
    return [{**row, "memory": cost.memory or 0.0} for row in rows]


def answer(rows: Sequence[Mapping[str, object]]) -> None:
    """Give the rows of a part to the process that started it."""
    Path(os.environ["BENCHMARK_ANSWER"]).write_text(json.dumps(rows))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for what the measured programs write."""
    with tempfile.TemporaryDirectory(prefix="weakbeam-bench-") as folder:
        yield Path(folder)


def weakbeam(*arguments: str) -> list[str]:
    """Return the command line of the program that is installed beside this Python."""
    return [str(Path(sys.executable).parent / "weakbeam"), *arguments]


# ---------------------------------------------------------------------- tables


def machine() -> str:
    """One line that tells where the numbers come from."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    packages = ", ".join(f"{name} {_version(name)}" for name in ("weakbeam", "numpy", "numba"))
    load = f"load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "load unknown"
    return f"{cores} cores ({_processor()}), Python {platform.python_version()}, {packages}, {load}"


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows of text below a title; the first column is flush left, the others right."""
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(columns))]
    print(f"\n{title}")
    for number, line in enumerate(lines):
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  " + "  ".join(cells).rstrip())
        if number == 0:
            print("  " + "  ".join("-" * width for width in widths))


COST_COLUMNS = ("wall min", "median", "CPU", "memory", "baseline", "target")


def cost_cells(
    cost: Cost, baseline: float | None = None, target: str = "", by_cpu: bool = False
) -> list[str]:
    """Cells of a table for a cost: :data:`COST_COLUMNS`.

    Parameters
    ----------
    cost : Cost
        What was measured.
    baseline : float, optional
        Seconds that count as 1: medians of the wall time, or of the CPU time if `by_cpu`.
    target : str
        What it should be.
    by_cpu : bool
        Compare CPU times.
    """
    time_taken = cost.cpu if by_cpu else cost.wall
    return [
        seconds(min(cost.walls)),
        seconds(cost.wall),
        seconds(cost.cpu),
        "" if cost.memory is None else f"{cost.memory / 1e6:.0f} MB",
        "" if baseline is None else ratio(time_taken, baseline),
        target,
    ]


def ratio(value: float, baseline: float) -> str:
    """Write how often the baseline `value` is, as a fraction where it is less."""
    return f"{value / baseline:.3g}" if value >= baseline else f"1/{baseline / value:.3g}"


def seconds(value: float) -> str:
    """Write a time with its unit."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "us")):
        if value * factor >= 1.0:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e9:.3g} ns"


def parser(description: str | None) -> argparse.ArgumentParser:
    """Arguments that every benchmark has."""
    options = argparse.ArgumentParser(description=(description or "").split("\n")[0])
    options.add_argument("--repeats", type=int, default=3, help="runs of each measurement")
    options.add_argument("--part", help=argparse.SUPPRESS)
    return options


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
