"""Files of images as programs that train networks stream them: WebDataset and Zarr."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.io.chunks import DEFLATE_LEVEL, shuffle_and_deflate
from weakbeam.io.sample import Sample, settings_text

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
"""The time of all members of a zip file."""


class TarWriter:
    """Samples as WebDataset reads them: ``ID.npy``, ``ID.json`` and ``ID.toml`` of each.

    The JSON holds the number, the settings, and the axes of the array with positions and units.
    """

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115

    def add(self, sample: Sample) -> None:
        """Append the three members of a sample."""
        array = io.BytesIO()
        np.save(array, sample.images)
        about = {
            "number": sample.number,
            "id": sample.id,
            "settings": dict(sample.settings),
            "dims": list(sample.coords),
            "coords": {name: values.tolist() for name, values in sample.coords.items()},
            "units": dict(sample.units),
        }
        self._member(f"{sample.id[:32]}.npy", array.getvalue())
        self._member(f"{sample.id[:32]}.json", json.dumps(about, ensure_ascii=False).encode())
        self._member(f"{sample.id[:32]}.toml", sample.experiment.encode())

    def close(self) -> None:
        """Complete the file."""
        self._tar.close()

    def _member(self, name: str, data: bytes) -> None:
        about = tarfile.TarInfo(name)
        about.size = len(data)
        self._tar.addfile(about, io.BytesIO(data))


class ZarrWriter:
    """Samples in a Zarr store of format 2, in a zip file: the groups and arrays of the HDF5 one.

    A chunk holds the images of one sample.
    """

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED)
        self._groups: dict[str, list[Sample]] = {}
        self._member(".zgroup", json.dumps({"zarr_format": 2}))

    def add(self, sample: Sample) -> None:
        """Append a sample to its group."""
        group = self._groups.setdefault(sample.group, [])
        place = ".".join(map(str, (len(group), *(0 for _ in sample.images.shape))))
        self._member(f"{sample.group}/image/{place}", shuffle_and_deflate(sample.images))
        # Everything but the images is kept until the number of rows is known.
        group.append(sample.without_images())

    def close(self) -> None:
        """Complete the file."""
        for name, samples in self._groups.items():
            first = samples[0]
            lengths = [len(values) for values in first.coords.values()]
            self._member(f"{name}/.zgroup", json.dumps({"zarr_format": 2}))
            self._describe(
                f"{name}/image",
                [len(samples), *lengths],
                [1, *lengths],
                first.images.dtype.newbyteorder("<").str,
                {"id": "zlib", "level": DEFLATE_LEVEL},
                [{"id": "shuffle", "elementsize": first.images.dtype.itemsize}],
                ["sample", *first.coords],
            )
            self._array(f"{name}/number", np.array([s.number for s in samples], np.int64), "")
            for axis in first.coords:
                positions = np.array([s.coords[axis] for s in samples])
                self._array(f"{name}/{axis}", positions, axis, first.units.get(axis))
            self._texts(f"{name}/id", [s.id for s in samples])
            self._texts(f"{name}/settings", [settings_text(s.settings) for s in samples])
            self._texts(f"{name}/experiment", [s.experiment for s in samples])
        self._zip.close()

    def _array(self, name: str, values: NDArray[Any], axis: str, unit: str | None = None) -> None:
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        shape = list(values.shape)
        self._describe(name, shape, shape, little.dtype.str, None, None, ["sample", axis], unit)
        self._member(f"{name}/{'.'.join('0' for _ in shape)}", little.tobytes())

    def _texts(self, name: str, texts: Sequence[str]) -> None:
        encoded = [text.encode() for text in texts]
        lengths = [len(texts)]
        self._describe(name, lengths, lengths, "|O", None, [{"id": "vlen-utf8"}], ["sample"])
        parts = [struct.pack("<I", len(encoded))]
        parts += [struct.pack("<I", len(text)) + text for text in encoded]
        self._member(f"{name}/0", b"".join(parts))

    def _describe(
        self,
        name: str,
        shape: list[int],
        chunks: list[int],
        dtype: str,
        compressor: dict[str, Any] | None,
        filters: list[dict[str, Any]] | None,
        dims: list[str],
        unit: str | None = None,
    ) -> None:
        about = {
            "zarr_format": 2,
            "shape": shape,
            "chunks": chunks,
            "dtype": dtype,
            "compressor": compressor,
            "filters": filters,
            "fill_value": "" if dtype == "|O" else 0,
            "order": "C",
        }
        self._member(f"{name}/.zarray", json.dumps(about))
        # Where xarray looks for the names of the axes.
        attributes: dict[str, Any] = {"_ARRAY_DIMENSIONS": dims[: len(shape)]}
        if unit:
            attributes["units"] = unit
        self._member(f"{name}/.zattrs", json.dumps(attributes))

    def _member(self, name: str, data: bytes | str) -> None:
        self._zip.writestr(zipfile.ZipInfo(name, _FIRST_DAY), data)
