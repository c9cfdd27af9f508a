"""Small scans, written through the public interface of the file."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weakbeam.io.entry import (
    Description,
    Entry,
    ImageAxis,
    MapAxis,
    beamline_positions,
    motor_unit,
    scan_title,
)
from weakbeam.io.scanfile import ScanFile

DIGEST = "a" * 64


def make_entry(
    motors: dict[str, np.ndarray], shape: tuple[int, int] = (5, 7), dtype: str = "uint16"
) -> Entry:
    """A scan over the grid of the given positions, the first motor slowest."""
    grids = np.meshgrid(*motors.values(), indexing="ij") if motors else []
    axes = tuple(
        ImageAxis(name, (np.arange(n) - (n - 1) / 2) * 0.04, f"{name} (µm)")
        for name, n in zip("zy", shape, strict=True)
    )
    return Entry(
        title=scan_title(list(motors.items()), exposure_s=0.5),
        moving={name: grid.ravel() for name, grid in zip(motors, grids, strict=True)},
        fixed={
            "mu": (-8.97, "deg"),
            "phi": (0.0, "deg"),
            "chi": (0.0, "deg"),
            "diffrz": (0.0, "mm"),
            **beamline_positions(math.radians(17.9), 274.0, 162.5),
        },
        shape=shape,
        dtype=np.dtype(dtype),
        scan_shape=tuple(len(values) for values in motors.values()),
        image_axes=axes,
        exposure_s=0.5,
        defects={
            "kind": ["dislocation", "wall"],
            "burgers_vector": (np.array([[1, 0, -1], [np.nan] * 3]), "um"),
            "spacing": (np.array([np.nan, 0.5]), "um"),
        },
        maps={
            f"com_{name}": MapAxis(motor_unit(name), f"centre of mass {name}") for name in motors
        },
    )


def make_frames(entry: Entry, seed: int = 0) -> np.ndarray:
    """Frames that differ in every pixel, with many binary digits where they are float32."""
    random = np.random.default_rng(seed)
    if entry.dtype.kind == "u":
        return random.integers(0, 2**16, (entry.frames, *entry.shape), dtype=np.uint16)
    return np.exp(10 * random.normal(size=(entry.frames, *entry.shape))).astype(np.float32)


def description(digest: str = DIGEST) -> Description:
    return Description(
        configuration="[beam]\nenergy_keV = 17.0  # µm, θ\n",
        digest=digest,
        instrument={
            "source": {"@NX_class": "NXsource", "name": "ESRF"},
            "beam": {"@NX_class": "NXbeam", "incident_energy": (17.0, "keV")},
            "pco_ff": {"x_pixel_size": (6.5e-6, "m"), "y_pixel_size": (6.5e-6, "m")},
        },
        sample={"name": "Al", "unit_cell_abc": (np.full(3, 4.0495), "angstrom")},
        simulation={"seed": 7},
    )


def write_file(path: Path, *entries: Entry, **options: Any) -> Path:
    """Write entries with their frames into a finished file."""
    with ScanFile.create(path, entries, description(), **options) as file:
        for index, entry in enumerate(entries):
            file.write_frames(index, range(entry.frames), make_frames(entry, index))
            file.write_maps(index, {name: np.ones(entry.shape) for name in entry.maps})
        file.finish()
    return path


PHI = np.linspace(-0.03, 0.03, 4)
CHI = np.linspace(-0.1, 0.1, 3)


@pytest.fixture
def mosaicity() -> Entry:
    return make_entry({"chi": CHI, "phi": PHI})


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write entries with their frames into a finished file below a temporary folder."""

    def write_to(*entries: Entry, folder: str = "run", **options: Any) -> Path:
        return write_file(tmp_path / folder / "weakbeam.h5", *entries, **options)

    return write_to
