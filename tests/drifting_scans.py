"""A rocking scan of a crystal that is known everywhere, with all that spoils scans.

Made of formulas alone, so that a drift is exact and nothing is interpolated. Shares no code with
the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

DARK = 100.0
NOISE = 2.0
CENTRE_DEG = 9.2


@dataclass(frozen=True)
class Crystal:
    """A lattice plane bent and mottled, seen through details that stay with the sample.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of the camera.
    bend_deg : float
        Change of the lattice from the first row to the last.
    width_deg : float
        Standard deviation of the rocking curve of a point.
    details : float
        Contrast of the details; 0 for a crystal that shows none.
    seed : int
        Of the details.
    """

    shape: tuple[int, int] = (72, 96)
    bend_deg: float = 0.08
    width_deg: float = 0.03
    details: float = 0.6
    light: float = 900.0
    seed: int = 4

    def centre(self, row, column):
        """Where the rocking curve of a point has its top (deg), for arrays of places."""
        down, across = row / self.shape[0] - 0.5, column / self.shape[1] - 0.5
        mottled = 0.01 * np.sin(9.0 * down + 1.0) * np.cos(7.0 * across)
        return CENTRE_DEG + self.bend_deg * down + mottled

    def brightness(self, row, column):
        """How bright the sample is at rows (R, 1) and columns (1, C)."""
        random = np.random.default_rng(self.seed)
        count = self.shape[0] * self.shape[1] // 40
        rows = random.uniform(-12, self.shape[0] + 12, count)
        columns = random.uniform(-12, self.shape[1] + 12, count)
        sizes, heights = random.uniform(1.6, 3.0, count), random.uniform(-1, 1, count)
        down = np.exp(-0.5 * ((row.ravel()[:, None] - rows) / sizes) ** 2)
        across = np.exp(-0.5 * ((column.ravel()[:, None] - columns) / sizes) ** 2)
        return np.clip(1.0 + self.details * (down * heights) @ across.T, 0.05, None)

    def image(self, angle, shift=(0.0, 0.0)):
        """Light at an angle (deg), the sample farther on by some rows and columns."""
        row = np.arange(self.shape[0])[:, None] - shift[0]
        column = np.arange(self.shape[1])[None, :] - shift[1]
        curve = np.exp(-0.5 * ((angle - self.centre(row, column)) / self.width_deg) ** 2)
        return self.light * curve * self.brightness(row, column)


def steady_drift(frames, rows=2.4, columns=-1.6):
    """A drift that slows down, from none at the first frame; (frames, 2)."""
    part = np.arange(frames) / (frames - 1)
    return np.stack([rows * (1.5 * part - 0.5 * part**2), columns * part], axis=-1)


HOT = ((10, 20), (40, 41), (40, 42), (66, 90))
"""Pixels that are hot, two of them side by side."""
JUMP, JUMP_FACTOR = 37, 1.4


def rocking_stack(crystal=None, frames=61, half_deg=0.15, drift=None, hot=(), jump=None, seed=8):
    """Counts of a rocking scan and its angles.

    Parameters
    ----------
    crystal : Crystal, optional
        What is seen.
    frames, half_deg
        How many, over which half range.
    drift : (frames, 2) array_like, optional
        Rows and columns by which the sample stands farther on.
    hot : sequence of (int, int)
        Pixels with 60 counts too many, in every frame.
    jump : int, optional
        The frame with 1.4 times the light.
    """
    crystal = crystal or Crystal()
    random = np.random.default_rng(seed)
    angles = CENTRE_DEG + np.linspace(-half_deg, half_deg, frames)
    shifts = np.zeros((frames, 2)) if drift is None else np.asarray(drift)
    stack = np.empty((frames, *crystal.shape), np.uint16)
    for number, (angle, shift) in enumerate(zip(angles, shifts, strict=True)):
        light = crystal.image(angle, shift) * (JUMP_FACTOR if number == jump else 1.0)
        counts = random.poisson(light) + random.normal(DARK, NOISE, light.shape)
        for row, column in hot:
            counts[row, column] += 60.0
        stack[number] = np.clip(np.rint(counts), 0, 65535)
    return stack, angles


def write_scan(path: Path, stack, positions, title="", chunks=None, entry="1.1"):
    """Write one entry as BLISS does."""
    motors = {"mu": positions} if not isinstance(positions, dict) else positions
    with h5py.File(path, "a") as file:
        group = file.create_group(entry)
        group["title"] = title or f"fscan mu {len(stack)} 0.1"
        camera = group.create_group("instrument/pco_ff")
        packed = {} if chunks is None else {"chunks": chunks, "compression": "gzip"}
        camera.create_dataset("image", data=stack, **packed)
        for name, values in motors.items():
            group[f"instrument/{name}/value"] = values
            group[f"instrument/{name}/value"].attrs["units"] = "deg"
    return path
