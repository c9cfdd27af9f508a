"""The file of the maps of a measured scan."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.io import bliss, guard
from weakbeam.io.diskerrors import creation_error
from weakbeam.io.entry import Fields, ImageAxis
from weakbeam.io.newfiles import NewFiles
from weakbeam.io.provenance import program_version, timestamp
from weakbeam.io.targets import MAPS, claim

STACK = "layers"
"""Name of the entry that has the maps of all layers as stacks."""


@dataclass(frozen=True, eq=False)
class StoredMaps:
    """Maps as they are written, with what tells how they came about.

    Parameters
    ----------
    title : str
        The scan command.
    maps : mapping of str to (ndarray, unit, long name)
        Maps of shape (rows, columns), the one that viewers open first.
    image_axes : (ImageAxis, ImageAxis) or None
        Axes in the sample (µm); rows and columns of the camera unless given.
    scan : mapping of str to (ndarray, unit)
        Positions along the axes of the scan, and what was measured there of all pixels together.
    process : Fields
        Source file and entry, background, threshold and warnings.
    first : (int, int)
        Numbers of the first row and column on the camera.
    """

    title: str
    maps: Mapping[str, tuple[Floats, str, str]]
    image_axes: tuple[ImageAxis, ImageAxis] | None = None
    scan: Mapping[str, tuple[Floats, str]] = field(default_factory=dict)
    process: Fields = field(default_factory=dict)
    first: tuple[int, int] = (0, 0)


def write_maps(
    path: str | os.PathLike[str], name: str, stored: StoredMaps, overwrite: bool = False
) -> None:
    """Write maps into a new NeXus file, which appears only when it is complete.

    Parameters
    ----------
    path : path
        The file; its folder is made if need be.
    name : str
        Name of the entry, that of the scan.
    stored : StoredMaps
        The maps.
    overwrite : bool
        Replace a file of maps that is there; never any other file.

    Raises
    ------
    InputError
        If the file exists and may not be replaced, or cannot be created.
    RunError
        If the disk is full or fails.
    """
    _write(Path(path), {name: stored}, name, None, overwrite)


def write_layers(
    path: str | os.PathLike[str],
    layers: Mapping[str, StoredMaps],
    heights: Floats,
    default: str,
    overwrite: bool = False,
) -> None:
    """Write the same maps of several layers: an entry each, and all of them as stacks.

    Parameters
    ----------
    path : path
        The file; its folder is made if need be.
    layers : mapping of str to StoredMaps
        Maps of each layer under the name of its entry, the lowest first, with the same axes.
    heights : (layers,) ndarray
        Where they are (µm).
    default : str
        The entry that viewers open first.
    overwrite : bool
        As for :func:`write_maps`.

    Raises
    ------
    InputError, RunError
        As :func:`write_maps` does.
    """
    _write(Path(path), layers, default, heights, overwrite)


def _write(
    target: Path,
    entries: Mapping[str, StoredMaps],
    default: str,
    heights: Floats | None,
    overwrite: bool,
) -> None:
    check_maps_target(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with NewFiles() as files:
            with files.create(target) as file:
                bliss.create_root(file)
                file.attrs.update({"default": default, "content": "maps"})
                for name, stored in entries.items():
                    _fill(file, name, stored)
                if heights is not None:
                    _stack(file, entries, heights)
            files.commit()
    except (OSError, RuntimeError) as error:
        raise creation_error(target, error) from None


def read_maps(path: str | os.PathLike[str], entry: str | None = None) -> tuple[str, StoredMaps]:
    """Read a file of maps.

    Parameters
    ----------
    path : path
        The file.
    entry : str, optional
        Name of the entry; the first unless given.

    Returns
    -------
    name : str
        Name of the entry.
    stored : StoredMaps
        What it holds; maps in the order of their names.

    Raises
    ------
    InputError
        If there is no such file or entry, or it is no file of maps.
    """
    with guard.reading(path) as file:
        ours = guard.attribute(file, "creator", "") == "weakbeam"
        if not ours or guard.attribute(file, "content", "") != "maps":
            raise InputError("file", str(path), "is no file of maps")
        names = [name for name in file if f"{name}/maps" in file]
        name = entry or next(iter(names), "")
        if name not in names:
            raise InputError("entry", name, f"{path} has the maps of {', '.join(names) or 'none'}")
        group = guard.group(file, name)
        maps, axes, first = {}, None, (0, 0)
        for map_name in guard.group(group, "maps"):
            inside = guard.group(group, f"maps/{map_name}")
            values = guard.numbers(inside, map_name, kinds="f", ndim=2)
            unit = guard.attribute(inside[map_name], "units", "")
            maps[map_name] = values, unit, guard.attribute(inside[map_name], "long_name", "")
            axes = _image_axes(inside, values.shape)
            first = (0, 0) if axes is not None else _first(inside, values.shape)
        if not maps:
            raise guard.Fault(f"/{name}/maps", "has no map")
        scan = {
            motor: (
                guard.numbers(group, f"scan/{motor}", ndim=1),
                guard.attribute(group[f"scan/{motor}"], "units", ""),
            )
            for motor in guard.group(group, "scan")
        }
        process = {key: _value(group["process"], key) for key in guard.group(group, "process")}
        return name, StoredMaps(guard.text(group, "title"), maps, axes, scan, process, first)


def is_maps(path: str | os.PathLike[str]) -> bool:
    """Whether a file is one of maps."""
    return MAPS.is_one(Path(path))


def _image_axes(group: h5py.Group, shape: tuple[int, ...]) -> tuple[ImageAxis, ImageAxis] | None:
    names = guard.attribute_texts(group, "axes")
    if names == ["row", "column"] and guard.attribute(group["row"], "units", "") != "um":
        return None
    if len(names) != 2:
        raise guard.Fault(f"{group.name}@axes", "does not name two axes")
    rows, columns = (
        ImageAxis(
            name,
            guard.numbers(group, name, shape=(length,)),
            guard.attribute(group[name], "long_name"),
        )
        for name, length in zip(names, shape, strict=True)
    )
    return rows, columns


def _first(group: h5py.Group, shape: tuple[int, ...]) -> tuple[int, int]:
    """Numbers of the first row and column on the camera."""
    rows, columns = (
        guard.numbers(group, name, shape=(length,))
        for name, length in zip(("row", "column"), shape, strict=True)
    )
    return int(rows[0]), int(columns[0])


def _value(group: h5py.Group, key: str) -> object:
    """A text, a number or an array."""
    found = guard.dataset(group, key)
    if h5py.check_string_dtype(found.dtype) is not None:
        return guard.text(group, key)
    return guard.numbers(group, key, kinds="fiub")[()]


def check_maps_target(
    path: Path, overwrite: bool, inputs: Iterable[str | os.PathLike[str]] = ()
) -> None:
    """Refuse to write maps where `weakbeam.io.targets.claim` does.

    Raises
    ------
    InputError
        If the file exists and `overwrite` is False, it is no file of maps, or one of `inputs`.
    """
    advice = "choose another or say `overwrite`"
    claim(path, MAPS, overwrite=overwrite, inputs=inputs, advice=advice)


def _fill(file: h5py.File, name: str, stored: StoredMaps) -> None:
    entry = bliss.create_group(file, name, "NXentry")
    entry.attrs["default"] = "maps"
    entry["title"] = stored.title
    maps = bliss.create_group(entry, "maps", "NXcollection")
    maps.attrs["default"] = next(iter(stored.maps))
    for map_name, (values, unit, long_name) in stored.maps.items():
        axes = ["row", "column"]
        if stored.image_axes is not None:
            axes = [axis.name for axis in stored.image_axes]
        group = bliss.create_nxdata(maps, map_name, long_name, map_name, axes)
        bliss.create_image(group, map_name, values.shape, unit, long_name)[...] = values
        if stored.image_axes is not None:
            bliss.write_image_axes(group, stored.image_axes)
        else:
            fields = zip(axes, stored.first, values.shape, strict=True)
            bliss.write_fields(
                group, {axis: (start + np.arange(n), "pixel") for axis, start, n in fields}
            )
    scan = bliss.create_group(entry, "scan", "NXcollection")
    bliss.write_fields(scan, stored.scan)
    process = bliss.create_group(entry, "process", "NXprocess")
    bliss.write_fields(
        process,
        {
            "program": "weakbeam",
            "version": program_version(),
            "date": timestamp(),
            **stored.process,
        },
    )


def _stack(file: h5py.File, layers: Mapping[str, StoredMaps], heights: Floats) -> None:
    """Every map of all layers as one array with the axes z, y and x, which refers to theirs."""
    entry = bliss.create_group(file, STACK, "NXentry")
    entry.attrs["default"] = "maps_of_layers"
    entry["title"] = f"{len(layers)} layers"
    stacks = bliss.create_group(entry, "maps_of_layers", "NXcollection")
    first = next(iter(layers.values()))
    assert first.image_axes is not None
    rows, columns = (len(axis.values_um) for axis in first.image_axes)
    for name, (stored, unit, long_name) in stacked_maps(layers).items():
        stacks.attrs.setdefault("default", name)
        axes = ["z", *(axis.name for axis in first.image_axes)]
        group = bliss.create_nxdata(stacks, name, long_name, name, axes)
        layout = h5py.VirtualLayout((len(layers), rows, columns), np.float64)
        for number, layer in enumerate(stored):
            if layer is not None:
                place = f"/{layer}/maps/{name}/{name}"
                layout[number] = h5py.VirtualSource(".", place, (rows, columns), np.float64)
        stack = group.create_virtual_dataset(name, layout, fillvalue=np.nan)
        stack.attrs.update({"units": unit, "long_name": long_name, "interpretation": "image"})
        bliss.write_image_axes(group, first.image_axes)
        bliss.write_fields(group, {"z": (np.asarray(heights, dtype=np.float64), "um")})
        group["z"].attrs["long_name"] = "z (µm)"


def stacked_maps(
    layers: Mapping[str, StoredMaps],
) -> dict[str, tuple[list[str | None], str, str]]:
    """Which entries have each map (None for one that has not), its unit and what it is."""
    found: dict[str, tuple[list[str | None], str, str]] = {}
    for stored in layers.values():
        for name, (_, unit, long_name) in stored.maps.items():
            has = [layer if name in other.maps else None for layer, other in layers.items()]
            found.setdefault(name, (has, unit, long_name))
    return found
