"""Scans of which the truth is known, with all that goes wrong, written without weakbeam.

Every pixel's curve is a Gaussian; its centre and width are the truth that maps are compared with.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

SHAPE = (10, 12)
SIGMA = 0.05
FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0)) * SIGMA
CENTERS = np.random.default_rng(11).uniform(-0.05, 0.05, SHAPE)
EVEN = np.linspace(-0.3, 0.3, 61)


@dataclass
class Camera:
    """What the camera makes of light: dark level, read noise, shot noise, type of its counts."""

    height: float = 2000.0
    dark: float = 0.0
    read: float = 0.0
    shot: bool = False
    dtype: str = "uint16"
    seed: int = 5

    def counts(self, light: np.ndarray) -> np.ndarray:
        random = np.random.default_rng(self.seed)
        signal = self.height * light
        if self.shot:
            signal = random.poisson(signal).astype(float)
        noisy = signal + self.dark + self.read * random.standard_normal(light.shape)
        if np.dtype(self.dtype).kind == "f":
            return noisy.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        return np.clip(noisy.round(), limits.min, limits.max).astype(self.dtype)


def curves(x: np.ndarray, centers: np.ndarray = CENTERS, sigma: float = SIGMA) -> np.ndarray:
    """Light of each pixel at each position: (frames, rows, columns)."""
    return np.exp(-0.5 * ((x[:, None, None] - centers) / sigma) ** 2)


@dataclass
class Scan:
    """One entry of a file."""

    motors: dict[str, np.ndarray]
    stack: np.ndarray | None
    title: str = "fscan mu -0.3 0.01 61 0.1"
    unit: str | None = "deg"
    still: dict[str, float] = field(default_factory=dict)
    counters: dict[str, np.ndarray] = field(default_factory=dict)

    def write(self, path: Path, entry: str = "1.1") -> Path:
        with h5py.File(path, "a") as file:
            group = file.create_group(entry)
            group["title"] = self.title
            group["end_reason"] = "SUCCESS"
            for name, values in self.motors.items():
                where = group.create_dataset(f"instrument/{name}/value", data=values)
                if self.unit is not None:
                    where.attrs["units"] = self.unit
                group[f"instrument/positioners/{name}"] = h5py.SoftLink(where.name)
            for name, value in self.still.items():
                group[f"instrument/positioners/{name}"] = value
            for name, counts in self.counters.items():
                group[f"measurement/{name}"] = counts
            if self.stack is not None:
                group["instrument/pco_ff/image"] = self.stack
        return path


def rocking(x: np.ndarray = EVEN, camera: Camera | None = None, **options: object) -> Scan:
    """A scan of `mu` over positions in any order."""
    stack = (camera or Camera()).counts(curves(x))
    return Scan({"mu": x}, stack, **options)  # type: ignore[arg-type]


def edf_bytes(image: np.ndarray, header: dict[str, object]) -> bytes:
    """An EDF image with a header as SPEC writes it."""
    kinds = {"uint16": "UnsignedShort", "int32": "SignedInteger", "float32": "FloatValue"}
    fields = {
        "EDF_DataBlockID": "0.Image.Psd",
        "ByteOrder": "LowByteFirst" if image.dtype.byteorder in "<=|" else "HighByteFirst",
        "DataType": kinds[image.dtype.newbyteorder("=").name],
        "Dim_1": image.shape[1],
        "Dim_2": image.shape[0],
        "Size": image.nbytes,
        **header,
    }
    text = "{\n" + "".join(f"{key} = {value} ;\n" for key, value in fields.items())
    length = -(-(len(text) + 2) // 512) * 512
    return (text.ljust(length - 2) + "}\n").encode() + image.tobytes()
