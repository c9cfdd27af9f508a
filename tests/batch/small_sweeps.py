"""Sweeps of experiments that take some milliseconds each."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import h5py
import numpy as np

from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.index import write_tables
from weakbeam.batch.manifest import Sweep, parse_sweep
from weakbeam.batch.shard import compute_shard

SMALL = {
    "camera": {"pixels": [6, 8], "pixel_nm": 400.0, "depth_samples": 5, "oversampling": "point"},
    "scan": {"phi": {"half_range_mrad": 0.2, "steps": 3}},
}


def small_sweep(*axes, per_shard=2, form="hdf5", experiment=None, **rest) -> Sweep:
    """A sweep over `axes`, each a key and its values."""
    return parse_sweep(
        {
            "experiment": SMALL | (experiment or {}),
            "axes": [{"key": key, "values": list(values)} for key, values in axes],
            "output": {"format": form, "tasks_per_shard": per_shard},
            **rest,
        }
    )


CHI = ("scan.chi.value_mrad", [0.0, 0.1, 0.2, 0.3, 0.4])
ENERGY = ("beam.energy_keV", [17, 18])


def compute_here(sweep: Sweep, path: Path, numbers=None, resume=False) -> SweepFolder:
    """Compute files of a sweep in this process."""
    folder = SweepFolder(path)
    folder.prepare(sweep, resume)
    for number in range(sweep.shards) if numbers is None else numbers:
        compute_shard(str(path), sweep.digest, number)
    return folder


def fingerprints(path: Path) -> dict[str, str]:
    """Hashes of all files of images and receipts in a sweep's folder."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in (path / "shards").iterdir()
    }


def tables(path: Path) -> dict[str, object]:
    """All that the index and the table of a sweep hold."""
    found: dict[str, object] = {"csv": (path / "tasks.csv").read_text()}

    def look(name, item):
        if isinstance(item, h5py.Dataset):
            value = item[()]
            found[name] = value.tolist() if isinstance(value, np.ndarray) else value

    with h5py.File(path / "sweep.h5") as file:
        file.visititems(look)
    return found


def reference(sweep: Sweep, path: Path) -> tuple[dict[str, str], dict[str, object]]:
    """Files and tables of a sweep that is computed in this process."""
    write_tables(compute_here(sweep, path), sweep)
    return fingerprints(path), tables(path)


def zarr_array(store: zipfile.ZipFile, name: str) -> tuple[dict, bytes]:
    """Description of an array of a Zarr store and the bytes of its first chunk."""
    import json

    about = json.loads(store.read(f"{name}/.zarray"))
    place = ".".join("0" for _ in about["shape"])
    return about, store.read(f"{name}/{place}")


def npy(data: bytes) -> np.ndarray:
    """The array of a ``.npy`` member."""
    return np.load(io.BytesIO(data))
