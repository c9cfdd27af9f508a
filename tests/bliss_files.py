"""Small files as the beamlines' BLISS writes them, in all their variety."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

SHAPE = (6, 9)


def angles(slow: int = 5, fast: int = 7) -> tuple[np.ndarray, np.ndarray]:
    """Positions of chi (slow) and phi (fast) at every frame, with the jitter of real motors."""
    chi, phi = np.meshgrid(np.linspace(-0.2, 0.2, slow), 17 + 0.01 * np.arange(fast), indexing="ij")
    return chi.ravel(), phi.ravel() + 1e-5 * np.random.default_rng(0).normal(size=phi.size)


def frames(count: int, dtype: str = "uint16", seed: int = 1) -> np.ndarray:
    random = np.random.default_rng(seed)
    height = np.exp(-0.5 * ((np.arange(count) - count / 2) / (count / 6)) ** 2)
    ideal = 1000 * height[:, None, None] * random.uniform(0.5, 1.5, SHAPE) + 100
    return random.poisson(ideal).astype(dtype)


def peaked_frames(seed: int = 1) -> np.ndarray:
    """Frames of a scan over `angles` whose curves fall off inside it, above a level of 100."""
    random = np.random.default_rng(seed)
    chi, phi = np.meshgrid(np.arange(5) - 2.0, np.arange(7) - 3.0, indexing="ij")
    height = np.exp(-0.5 * (chi / 0.75) ** 2 - 0.5 * (phi / 0.9) ** 2).ravel()
    ideal = 1000 * height[:, None, None] * random.uniform(0.5, 1.5, SHAPE) + 100
    return random.poisson(ideal).astype("uint16")


def write_bliss(
    path: Path,
    title: str,
    motors: dict[str, np.ndarray],
    stack: np.ndarray | None,
    *,
    entry: str = "1.1",
    place: str = "value",
    options: dict[str, object] | None = None,
    sources: list[Path] | None = None,
) -> Path:
    """Write one entry; `place` says where positions are, `sources` where frames are.

    ``value`` and ``data`` are those of the motor's group; ``measurement`` and ``positioners`` the
    collections.
    """
    with h5py.File(path, "a") as file:
        group = file.create_group(entry)
        group["title"] = title
        group["end_reason"] = "SUCCESS"
        instrument = group.create_group("instrument")
        measurement = group.create_group("measurement")
        positioners = instrument.create_group("positioners")
        positioners["mu"] = -8.9
        positioners["ffpitch"] = "ERR"
        for name, values in motors.items():
            if place in ("value", "data"):
                instrument[f"{name}/{place}"] = values
            else:
                (measurement if place == "measurement" else positioners)[name] = values
        measurement["epoch"] = np.arange(3.0)
        if stack is None:
            return path
        camera = instrument.create_group("pco_ff")
        if sources is None:
            camera.create_dataset("image", data=stack, **(options or {}))
        else:
            write_sources(camera, stack, sources, path.parent)
        camera["data"] = h5py.SoftLink(f"/{entry}/instrument/pco_ff/image")
        measurement["pco_ff"] = h5py.SoftLink(f"/{entry}/instrument/pco_ff/image")
    return path


def write_sources(camera: h5py.Group, stack: np.ndarray, sources: list[Path], folder: Path) -> None:
    """Spread frames over files of the camera, joined by a virtual data set."""
    layout = h5py.VirtualLayout(stack.shape, stack.dtype)
    start = 0
    for source, part in zip(sources, np.array_split(stack, len(sources)), strict=True):
        source.parent.mkdir(exist_ok=True)
        with h5py.File(source, "w") as file:
            file.create_dataset(
                "entry_0000/measurement/data",
                data=part,
                chunks=(1, *SHAPE),
                compression="gzip",
                shuffle=True,
            )
        layout[start : start + len(part)] = h5py.VirtualSource(
            str(source.relative_to(folder)), "entry_0000/measurement/data", part.shape, part.dtype
        )
        start += len(part)
    camera.create_virtual_dataset("image", layout)
