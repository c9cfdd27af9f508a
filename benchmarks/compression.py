"""Speed and ratio of the compressions of the output file, beside h5py's own gzip.

    python benchmarks/compression.py [--frames 244] [--workers 2]

Two stacks of 170 x 510 pixels: a rocking scan of an edge dislocation as noise-free float32, and the
same with photon noise as uint16 counts. Every row writes the whole stack into a new file, closes it
and counts the bytes before compression; the best of three runs is shown.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import h5py
import numpy as np

from weakbeam.errors import InputError
from weakbeam.io.chunks import (
    COMPRESSIONS,
    DEFLATE_LEVEL,
    compression_pool,
    create_stack,
    shuffle_and_deflate,
    write_frames,
)

ROWS, COLUMNS = 170, 510
BATCH = 122


def rocking_scan(frames: int) -> np.ndarray:
    """Images of the strain field of an edge dislocation for a Gaussian acceptance, float32."""
    y, x = np.meshgrid(
        (np.arange(ROWS) - ROWS / 2 + 0.5) * 0.12,
        (np.arange(COLUMNS) - COLUMNS / 2 + 0.5) * 0.04,
        indexing="ij",
    )
    q = 4.5e-5 * x / (x**2 + y**2 + 1e-4) * (1 + 0.5 * y**2 / (x**2 + y**2 + 1e-4))
    phi = np.linspace(-6e-4, 6e-4, frames)
    return np.array([np.exp(-0.5 * ((q + p) / 8e-5) ** 2) for p in phi], dtype=np.float32)


def with_h5py(frames: np.ndarray, path: Path) -> None:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "image",
            data=frames,
            chunks=(1, ROWS, COLUMNS),
            compression="gzip",
            compression_opts=4,
            shuffle=True,
        )


def with_threads(frames: np.ndarray, path: Path, compression: str, workers: int) -> None:
    with h5py.File(path, "w", libver="earliest") as file, compression_pool(workers) as pool:
        dataset = create_stack(
            file, "image", len(frames), (ROWS, COLUMNS), frames.dtype, compression
        )
        for start in range(0, len(frames), BATCH):
            batch = frames[start : start + BATCH]
            write_frames(dataset, np.arange(start, start + len(batch)), batch, pool)
            file.flush()


def compress_only(frames: np.ndarray, level: int, workers: int) -> int:
    with compression_pool(workers) as pool:
        return sum(map(len, pool.map(partial(shuffle_and_deflate, level=level), frames)))


def best_of_three(action: Callable[[], object]) -> float:
    def timed() -> float:
        start = time.perf_counter()
        action()
        return time.perf_counter() - start

    return min(timed() for _ in range(3))


def report(label: str, frames: np.ndarray, seconds: float, size: int) -> None:
    megabytes = frames.nbytes / 1e6
    print(f"  {label:<32}{megabytes / seconds:>8.0f} MB/s   ratio {frames.nbytes / size:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=244)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    ideal = rocking_scan(options.frames)
    counts = np.random.default_rng(0).poisson(3000 * ideal + 100).astype(np.uint16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stack.h5"
        for name, frames in (("uint16 counts with noise", counts), ("float32 ideal", ideal)):
            megabytes = frames.nbytes / 1e6
            print(f"{name}: {len(frames)} frames, {megabytes:.0f} MB, {options.workers} workers")
            print(" written to a file")
            seconds = best_of_three(partial(with_h5py, frames, path))
            report("h5py gzip 4 + shuffle", frames, seconds, path.stat().st_size)
            for compression in COMPRESSIONS:
                write = partial(with_threads, frames, path, compression, options.workers)
                try:
                    seconds = best_of_three(write)
                except InputError as error:
                    print(f"  {error}")
                    continue
                report(f"weakbeam {compression}", frames, seconds, path.stat().st_size)
            print(f" compression alone, ISA-L (the default is level {DEFLATE_LEVEL})")
            for level in range(4):
                size = compress_only(frames, level, options.workers)
                seconds = best_of_three(partial(compress_only, frames, level, options.workers))
                report(f"level {level}", frames, seconds, size)


if __name__ == "__main__":
    main()
