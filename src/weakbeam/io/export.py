"""Maps and images as files that any program reads: numpy's, TIFF, text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.io.entry import ImageAxis
from weakbeam.io.provenance import program_version
from weakbeam.io.targets import EXPORTED, claim, claim_folder, place_bytes

FORMATS = ("npy", "tiff", "csv")
"""Suffixes of the files that there can be."""

_DESCRIPTION, _SOFTWARE = 270, 305
"""Tags of TIFF."""


@dataclass(frozen=True, eq=False)
class Exported:
    """An image or a map with what names its file.

    Parameters
    ----------
    name : str
        What it is, such as ``"phi_com"`` or ``"frame_0030"``.
    entry : str
        Which entry it is of.
    values : (rows, columns) ndarray
        As they are stored.
    unit : str
        Of the values; ``""`` where they have none.
    long_name : str
        What it is, in words.
    source : str
        Name of the file that it comes from.
    image_axes : (ImageAxis, ImageAxis) or None
        Where the rows and the columns are (µm); numbers of pixels unless given.
    first : (int, int)
        Numbers of the first row and column on the camera.
    """

    name: str
    entry: str
    values: NDArray[Any]
    unit: str
    long_name: str
    source: str
    image_axes: tuple[ImageAxis, ImageAxis] | None = None
    first: tuple[int, int] = (0, 0)

    @property
    def stem(self) -> str:
        """Entry, name and unit, as the file is called."""
        parts = [self.entry, self.name, self.unit.replace("/", "_per_")]
        return re.sub(r"[^\w.+-]", "_", "_".join(part for part in parts if part))

    @property
    def axes(self) -> tuple[tuple[str, Floats], tuple[str, Floats]]:
        """Name with its unit, and values, of rows and of columns."""
        if self.image_axes is None:
            down, along = (
                start + np.arange(n, dtype=np.float64)
                for start, n in zip(self.first, self.values.shape, strict=True)
            )
            return ("row (pixel)", down), ("column (pixel)", along)
        rows, columns = self.image_axes
        return (f"{rows.name} (um)", rows.values_um), (f"{columns.name} (um)", columns.values_um)


def write_exports(
    exported: Sequence[Exported],
    folder: Path,
    formats: Iterable[str],
    *,
    overwrite: bool = False,
    inputs: Iterable[Path] = (),
) -> list[Path]:
    """Write images and maps as ``folder/ENTRY_NAME_UNIT.FORMAT``.

    Parameters
    ----------
    exported : sequence of Exported
        What is written.
    folder : Path
        Where; it is made if need be.
    formats : iterable of {"npy", "tiff", "csv"}
        ``npy`` has the values in their type; ``tiff`` as float32, with what they are and the axes
        in its description; ``csv`` has a header with these, and the coordinates of the columns in
        the first row and of the rows in the first column.
    overwrite : bool
        Whether files of this kind may be replaced.
    inputs : iterable of Path
        What was read.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    InputError
        If a file is there, or the folder takes none; nothing is written then.
    RunError
        If the disk is full or fails.
    """
    read = list(inputs)
    claim_folder(folder)
    targets = [
        claim(folder / f"{one.stem}.{kind}", EXPORTED, overwrite=overwrite, inputs=read)
        for one in exported
        for kind in formats
    ]
    number = 0
    for one in exported:
        for kind in formats:
            place_bytes(targets[number], _BYTES[kind](one))
            number += 1
    return targets


def _npy(exported: Exported) -> bytes:
    file = BytesIO()
    np.save(file, np.ascontiguousarray(exported.values), allow_pickle=False)
    return file.getvalue()


def _tiff(exported: Exported) -> bytes:
    from PIL import Image

    file = BytesIO()
    image = Image.fromarray(np.ascontiguousarray(exported.values, dtype=np.float32))
    tags: Mapping[int, str] = {
        _DESCRIPTION: _ascii("\n".join(_header(exported))),
        _SOFTWARE: f"weakbeam {program_version()}",
    }
    image.save(file, format="TIFF", tiffinfo=tags)
    return file.getvalue()


def _ascii(text: str) -> str:
    """Texts of TIFF have no other letters."""
    return text.replace("µ", "u").replace("σ", "sigma").replace("−", "-").replace("°", " deg")


def _csv(exported: Exported) -> bytes:
    (row_name, rows), (column_name, columns) = exported.axes
    lines = [f"# {line}" for line in _header(exported)]
    # Without the rounding errors of axes that were computed.
    lines.append(",".join([f"{row_name} \\ {column_name}", *(f"{y:.9g}" for y in columns)]))
    whole = exported.values.dtype.kind in "iu"
    for x, line in zip(rows, exported.values, strict=True):
        # The shortest digits that give the same number back.
        texts = map(str, line.tolist()) if whole else (str(value) for value in line)
        lines.append(",".join([f"{x:.9g}", *texts]))
    return ("\n".join(lines) + "\n").encode()


def _header(exported: Exported) -> list[str]:
    """What the values are and how they lie, for people."""
    unit = f" ({exported.unit})" if exported.unit else ""
    words = "".join(f": {text}" for text in [exported.long_name] if text)
    axes = []
    for name, (label, values) in zip(("rows", "columns"), exported.axes, strict=True):
        axes.append(f"{name}: {label} from {values[0]:.6g} to {values[-1]:.6g}")
    return [
        f"weakbeam {program_version()}",
        f"{exported.name}{unit}{words}",
        f"of {exported.source}, entry {exported.entry}",
        f"{'; '.join(axes)}; as they are stored, not turned upright",
    ]


_BYTES = {"npy": _npy, "tiff": _tiff, "csv": _csv}
