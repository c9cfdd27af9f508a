"""The groups and datasets of an output file.

The file is NeXus, arranged like those of beamline ID03 of the ESRF, so that silx, darfix and
darling open it as they open measured data. Everything is created before the first frame is
written: a file whose structure no longer changes stays readable however its writer ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.io.chunks import create_stack
from weakbeam.io.entry import Description, Entry, Fields, ImageAxis, motor_unit
from weakbeam.io.provenance import environment, program_version, timestamp

DETECTOR = "pco_ff"
"""Name of the camera; darling knows no other."""

SOURCE_STACK = f"/entry_0000/instrument/{DETECTOR}/image"
"""Where the frames lie in a source file of the layout "bliss"."""

# Linear stages whose positions darling reads from "data" instead of "value".
_STAGES_READ_FROM_DATA = frozenset({"diffrx", "diffry", "diffrz"})

# Long enough for a time stamp or a reason, so that it can be rewritten in place.
_SHORT_TEXT = h5py.string_dtype("utf-8", 40)


def create_root(file: h5py.File) -> None:
    """Write what the root of the file says of itself."""
    file.attrs.update(
        {
            "NX_class": "NXroot",
            "default": entry_name(0),
            "creator": "weakbeam",
            "creator_version": program_version(),
            "file_time": timestamp(),
            "h5py_version": h5py.version.version,
            "HDF5_Version": h5py.version.hdf5_version,
        }
    )


def entry_name(index: int) -> str:
    """Name of an entry from its index, counted from 0: ``"1.1"``, ``"2.1"``, ..."""
    return f"{index + 1}.1"


def source_path(index: int) -> str:
    """Path of an entry's source file, relative to the master file, in the layout "bliss"."""
    return f"scan{index + 1:04d}/{DETECTOR}_0000.h5"


def create_source(file: h5py.File, entry: Entry, compression: str) -> None:
    """Fill the file that holds the frames of one entry, as the camera's server would."""
    create_root(file)
    file.attrs["default"] = "entry_0000"
    group = create_group(file, "entry_0000", "NXentry")
    group["title"] = entry.title
    instrument = create_group(group, "instrument", "NXinstrument")
    detector = create_group(instrument, DETECTOR, "NXdetector")
    stack = create_stack(detector, "image", entry.frames, entry.shape, entry.dtype, compression)
    stack.attrs.update({"interpretation": "image", "units": entry.image_unit})
    _link(detector, "data", stack.name)
    _link(create_group(group, "measurement", "NXcollection"), "data", stack.name)


def create_entry(
    file: h5py.File,
    index: int,
    entry: Entry,
    description: Description,
    compression: str,
    layout: str,
) -> None:
    """Create one entry of the master file, with everything that can be known before the run.

    Parameters
    ----------
    file : h5py.File
        The master file.
    index : int
        Index of the entry, from 0.
    entry : Entry
        The scan.
    description : Description
        What is the same for every scan.
    compression : str
        See `chunks.create_stack`.
    layout : {"single", "bliss"}
        Frames in this file, or in a source file that exists already.
    """
    group = create_group(file, entry_name(index), "NXentry")
    group.attrs["default"] = "plot"
    group["title"] = entry.title
    group["start_time"] = timestamp()
    group.create_dataset("end_time", data=timestamp(), dtype=_SHORT_TEXT)
    group.create_dataset("end_reason", data="RUNNING", dtype=_SHORT_TEXT)
    off = group.create_dataset("sampling_error", data=np.float64(np.nan))
    off.attrs["long_name"] = "rms error of the images by sampling, relative to their rms"
    off.attrs["units"] = ""
    instrument = create_group(group, "instrument", "NXinstrument")
    _create_motors(instrument, entry)
    _create_detector(instrument, index, entry, compression, layout)
    for name, fields in {**description.instrument, **entry.instrument}.items():
        target = instrument.require_group(name)
        target.attrs.setdefault("NX_class", "NXcollection")
        write_fields(target, fields)
    _create_measurement(group, entry)
    _create_sample(group, entry, description)
    _create_plots(group, entry)
    _create_maps(group, entry)
    create_simulation(
        group,
        {"digest": description.digest, **description.simulation},
        description.configuration,
    )
    _create_progress(group, entry)


def write_fields(group: h5py.Group, fields: Fields) -> None:
    """Write values with their units, attributes (``@name``) and subgroups into a group."""
    for name, field in fields.items():
        if name.startswith("@"):
            group.attrs[name[1:]] = field
        elif isinstance(field, Mapping):
            write_fields(create_group(group, name, field.get("@NX_class", "NXcollection")), field)
        elif isinstance(field, tuple):
            _dataset(group, name, *field)
        elif field is not None:
            _dataset(group, name, field)


def create_nxdata(
    parent: h5py.Group,
    name: str,
    title: str,
    signal: str,
    axes: list[str],
) -> h5py.Group:
    """Create an NXdata group whose signal and axes are added by the caller."""
    group = create_group(parent, name, "NXdata")
    group.attrs["signal"] = signal
    group.attrs["axes"] = np.array(axes, dtype=h5py.string_dtype())
    group["title"] = title
    return group


def create_image(
    group: h5py.Group, name: str, shape: tuple[int, ...], unit: str, long_name: str
) -> h5py.Dataset:
    """Create a two-dimensional signal of float64, NaN until it is written."""
    image = group.create_dataset(name, data=np.full(shape, np.nan))
    image.attrs.update({"units": unit, "long_name": long_name, "interpretation": "image"})
    return image


def write_image_axes(group: h5py.Group, axes: tuple[ImageAxis, ImageAxis]) -> None:
    """Write the two axes of an image into an NXdata group."""
    for axis in axes:
        _dataset(group, axis.name, np.asarray(axis.values_um, float), "um", axis.long_name)


def create_group(parent: h5py.Group, name: str, nx_class: str) -> h5py.Group:
    """Create a group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def create_simulation(group: h5py.Group, fields: Fields, configuration: str) -> None:
    """Write how the data came about: program, versions, configuration and further fields."""
    simulation = create_group(group, "simulation", "NXprocess")
    write_fields(
        simulation,
        {
            "program": "weakbeam",
            "version": program_version(),
            "date": timestamp(),
            "configuration": {
                "@NX_class": "NXnote",
                "type": "application/toml",
                "data": configuration,
            },
            "environment": environment(),
            **fields,
        },
    )


def grid_positions(entry: Entry) -> tuple[Floats, Floats] | None:
    """Positions along the slow and the fast motor; None where the frames lie on no grid."""
    if len(entry.moving) != 2:
        return None
    order = np.argsort(entry.frame_places)
    slow, fast = (
        np.asarray(values, dtype=float)[order].reshape(entry.scan_shape)
        for values in entry.moving.values()
    )
    on_grid = np.array_equal(slow, np.broadcast_to(slow[:, :1], slow.shape)) and np.array_equal(
        fast, np.broadcast_to(fast[:1], fast.shape)
    )
    return (slow[:, 0], fast[0]) if on_grid else None


def _create_motors(instrument: h5py.Group, entry: Entry) -> None:
    positioners = create_group(instrument, "positioners", "NXcollection")
    for name, (value, unit) in entry.fixed.items():
        if name not in entry.moving:
            _dataset(positioners, name, value, unit)
    for name, positions in entry.moving.items():
        motor = create_group(instrument, name, "NXpositioner")
        motor["name"] = name
        _dataset(motor, "value", np.asarray(positions, dtype=float), motor_unit(name))
        _link(positioners, name, motor["value"].name)
        if name in _STAGES_READ_FROM_DATA:
            _link(motor, "data", motor["value"].name)


def _create_detector(
    instrument: h5py.Group, index: int, entry: Entry, compression: str, layout: str
) -> None:
    detector = create_group(instrument, DETECTOR, "NXdetector")
    if layout == "single":
        stack = create_stack(detector, "image", entry.frames, entry.shape, entry.dtype, compression)
    else:
        shape = (entry.frames, *entry.shape)
        virtual = h5py.VirtualLayout(shape, entry.dtype)
        virtual[:] = h5py.VirtualSource(source_path(index), SOURCE_STACK, shape, entry.dtype)
        stack = detector.create_virtual_dataset("image", virtual)
    stack.attrs.update({"interpretation": "image", "units": entry.image_unit})
    _link(detector, "data", stack.name)
    write_fields(detector, {"type": "lima", "count_time": (float(entry.exposure_s), "s")})
    intensity = create_group(instrument, f"{DETECTOR}_sum", "NXdetector")
    _dataset(intensity, "data", np.zeros(entry.frames), entry.image_unit, "summed intensity")
    intensity["type"] = "sum of all pixels"


def _create_measurement(group: h5py.Group, entry: Entry) -> None:
    instrument = group["instrument"].name
    measurement = create_group(group, "measurement", "NXcollection")
    _link(measurement, DETECTOR, f"{instrument}/{DETECTOR}/image")
    _link(measurement, f"{DETECTOR}_sum", f"{instrument}/{DETECTOR}_sum/data")
    for name in entry.moving:
        _link(measurement, name, f"{instrument}/{name}/value")


def _create_sample(group: h5py.Group, entry: Entry, description: Description) -> None:
    sample = create_group(group, "sample", "NXsample")
    write_fields(sample, {**description.sample, **entry.sample})
    if isinstance(entry.defects, str):
        _link(sample, "defects", f"/{entry.defects}/sample/defects")
    elif entry.defects:
        write_fields(create_group(sample, "defects", "NXcollection"), entry.defects)


def _create_plots(group: h5py.Group, entry: Entry) -> None:
    rows, columns = entry.image_axes
    plot = create_nxdata(
        group, "plot", f"{entry.title}: sum of all frames", "image_sum", [rows.name, columns.name]
    )
    create_image(plot, "image_sum", entry.shape, entry.image_unit, "summed intensity")
    write_image_axes(plot, entry.image_axes)
    by_motor = next(iter(entry.moving)) if len(entry.moving) == 1 else "."
    stack = create_nxdata(group, "stack", entry.title, "image", [by_motor, rows.name, columns.name])
    instrument = group["instrument"].name
    _link(stack, "image", f"{instrument}/{DETECTOR}/image")
    if by_motor != ".":
        _link(stack, by_motor, f"{instrument}/{by_motor}/value")
    for axis in entry.image_axes:
        _link(stack, axis.name, plot[axis.name].name)
    if entry.moving:
        _create_scan_map(group, entry)


def _create_scan_map(group: h5py.Group, entry: Entry) -> None:
    """Intensity over the scan: a curve, an image over two motors, or else scattered points."""
    names = list(entry.moving)
    positions = grid_positions(entry)
    scan_map = create_nxdata(
        group, "scan_map", f"{entry.title}: summed intensity", "intensity", names
    )
    instrument = group["instrument"].name
    if len(names) == 2 and positions is not None:
        create_image(scan_map, "intensity", entry.scan_shape, entry.image_unit, "summed intensity")
        for name, values in zip(names, positions, strict=True):
            unit = motor_unit(name)
            _dataset(scan_map, name, values, unit, f"{name} ({unit})")
        return
    _link(scan_map, "intensity", f"{instrument}/{DETECTOR}_sum/data")
    for name in names:
        _link(scan_map, name, f"{instrument}/{name}/value")


def _create_maps(group: h5py.Group, entry: Entry) -> None:
    if not entry.maps:
        return
    maps = create_group(group, "maps", "NXcollection")
    names = [axis.name for axis in entry.image_axes]
    for name, (unit, long_name) in entry.maps.items():
        nxdata = create_nxdata(maps, name, long_name, name, names)
        create_image(nxdata, name, entry.shape, unit, long_name)
        for axis in names:
            _link(nxdata, axis, group[f"plot/{axis}"].name)


def _create_progress(group: h5py.Group, entry: Entry) -> None:
    progress = create_group(group, "progress", "NXcollection")
    progress["frame_done"] = np.zeros(entry.frames, dtype=np.uint8)
    progress["frame_order"] = np.zeros(entry.frames, dtype=np.uint64)
    progress["frame_order"].attrs["long_name"] = "serial number of writing, from 1"
    progress["scan_shape"] = np.array(entry.scan_shape, dtype=np.int64)
    progress["scan_place"] = np.asarray(entry.frame_places, dtype=np.int64)
    progress["scan_place"].attrs["long_name"] = "place of each frame on the grid of the scan"


def _link(group: h5py.Group, name: str, path: str) -> None:
    group[name] = h5py.SoftLink(path)


def _dataset(
    group: h5py.Group, name: str, value: Any, unit: str | None = None, long_name: str = ""
) -> None:
    is_text = isinstance(value, list) and value and isinstance(value[0], str)
    dataset = group.create_dataset(name, data=value, dtype=h5py.string_dtype() if is_text else None)
    if unit is not None or dataset.dtype.kind == "f":
        dataset.attrs["units"] = unit or ""
    if long_name:
        dataset.attrs["long_name"] = long_name
