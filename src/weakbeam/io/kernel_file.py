"""The file of a tabulated acceptance: HDF5 with NeXus groups that plot by themselves.

A file appears under its name only when it is complete, and a hash inside tells whether it still is
what was written.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from weakbeam.core.arrays import Floats
from weakbeam.diffraction.kernel import AXES, Kernel
from weakbeam.errors import InputError
from weakbeam.io import bliss, guard
from weakbeam.io.chunks import compression_pool, create_stack, write_frames
from weakbeam.io.diskerrors import creation_error
from weakbeam.io.newfiles import NewFiles
from weakbeam.io.provenance import environment, program_version, timestamp
from weakbeam.io.targets import KERNEL, claim

_LABELS = {"rock": "q_rock'", "roll": "q_roll", "two_theta": "q_2theta"}
_NUMBERS = ("rays", "outside", "throughput")


def check_writable(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    inputs: Iterable[str | os.PathLike[str]] = (),
) -> None:
    """Check that a kernel may be written, before the time to compute it is spent.

    Raises
    ------
    InputError
        If `weakbeam.io.targets.claim` refuses the file, or its folder cannot be written to.
    """
    advice = "use `overwrite` or another name"
    path = claim(path, KERNEL, overwrite=overwrite, inputs=inputs, advice=advice)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        probe = _probe(path)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError("path", str(path), f"cannot be written ({error.strerror})") from None


def write_kernel(
    path: str | os.PathLike[str],
    kernel: Kernel,
    *,
    overwrite: bool = False,
    configuration: str = "",
    workers: int | None = None,
) -> None:
    """Write a kernel.

    Parameters
    ----------
    path : path
        The file; its folder is made if need be.
    kernel : Kernel
        The acceptance.
    overwrite : bool
        Replace a file that exists.
    configuration : str
        The experiment (TOML) that it belongs to.
    workers : int, optional
        Threads that compress; by default one per core.

    Raises
    ------
    InputError
        If the file exists and is not to be overwritten, or its folder takes no file.
    RunError
        If the disk is full or fails.

    Notes
    -----
    Entry ``/kernel`` with the NXdata groups ``acceptance`` (the voxels), ``rock_roll``,
    ``rock_two_theta`` and ``roll_two_theta`` (integrated over the third axis), and ``provenance``.
    """
    path = Path(path)
    check_writable(path, overwrite=overwrite)
    try:
        with NewFiles() as new:
            with new.create(path) as file, compression_pool(workers) as pool:
                _write(file, kernel, configuration, pool)
            new.commit()
    except (OSError, RuntimeError) as error:
        raise creation_error(path, error) from None


def read_kernel(path: str | os.PathLike[str], key: str = "acceptance.file") -> Kernel:
    """Read a kernel.

    Parameters
    ----------
    path : path
        A file that `write_kernel` made.
    key : str
        What messages call the file by.

    Returns
    -------
    Kernel

    Raises
    ------
    InputError
        If the file does not exist, is no kernel, is truncated, or holds other numbers than were
        written.
    """
    with guard.reading(path, key) as file:
        if not _is_kernel(file):
            raise InputError(key, str(path), "is no kernel of weakbeam bootstrap")
        kernel, stored = _read(file)
        if _sha256(kernel) != stored:
            allowed = "is damaged: its contents do not match the hash inside"
            raise InputError(key, str(path), allowed)
    return kernel


def is_kernel(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there and holds a kernel, by its content and not its name."""
    try:
        with guard.reading(path) as file:
            return _is_kernel(file)
    except InputError:
        return False


def read_configuration(path: str | os.PathLike[str]) -> str:
    """Text of the experiment (TOML) that a kernel was traced for.

    Raises
    ------
    InputError
        If the file cannot be read.
    """
    with guard.reading(path) as file:
        return guard.text(file, "kernel/provenance/configuration/data")


def _is_kernel(file: h5py.File) -> bool:
    return guard.attribute(file, "default", "") == "kernel" and "kernel/acceptance" in file


def _write(file: h5py.File, kernel: Kernel, configuration: str, pool: ThreadPoolExecutor) -> None:
    bliss.create_root(file)
    file.attrs["default"] = "kernel"
    entry = bliss.create_group(file, "kernel", "NXentry")
    entry.attrs["default"] = "acceptance"
    bliss.write_fields(entry, {"title": "tabulated acceptance", "version": 1})
    _write_table(entry, kernel, pool)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        names = [AXES[first], AXES[second]]
        name = "_".join(names)
        group = bliss.create_nxdata(entry, name, "p(q), integrated", "density", names)
        group["density"] = kernel.projection(first, second)
        group["density"].attrs.update({"units": "", "long_name": "p", "interpretation": "image"})
        for axis in (first, second):
            _write_axis(group, AXES[axis], kernel.centers[axis])
    for name in _NUMBERS:
        entry[name] = getattr(kernel, name)
    entry["conditions"] = json.dumps(dict(kernel.conditions))
    entry["tracing"] = json.dumps(dict(kernel.tracing))
    entry["sha256"] = _sha256(kernel)
    entry["sha256_conditions"] = _text_sha256(kernel.conditions)
    provenance = bliss.create_group(entry, "provenance", "NXprocess")
    bliss.write_fields(
        provenance,
        {
            "program": "weakbeam",
            "version": program_version(),
            "date": timestamp(),
            "environment": environment(),
            "configuration": {
                "@NX_class": "NXnote",
                "type": "application/toml",
                "data": configuration,
            },
        },
    )


def _write_table(entry: h5py.Group, kernel: Kernel, pool: ThreadPoolExecutor) -> None:
    group = bliss.create_nxdata(
        entry, "acceptance", "acceptance p(q) in the imaging frame", "density", list(AXES)
    )
    planes, rows, columns = kernel.shape
    table = np.ascontiguousarray(kernel.table, dtype=np.float32)
    stack = create_stack(group, "density", planes, (rows, columns), table.dtype)
    write_frames(stack, np.arange(planes), table, pool)
    stack.attrs.update({"units": "", "long_name": "p(q)", "interpretation": "image"})
    for name, centers, edges in zip(AXES, kernel.centers, kernel.edges, strict=True):
        _write_axis(group, name, centers)
        group[f"{name}_edges"] = edges
        group[f"{name}_edges"].attrs["units"] = ""


def _write_axis(group: h5py.Group, name: str, centers: Floats) -> None:
    group[name] = centers
    group[name].attrs.update({"units": "", "long_name": _LABELS[name]})


def _read(file: h5py.File) -> tuple[Kernel, str]:
    entry = guard.group(file, "kernel")
    group = guard.group(entry, "acceptance")
    rock, roll, two_theta = (
        guard.numbers(group, f"{name}_edges", kinds="f", ndim=1) for name in AXES
    )
    shape = (len(rock) - 1, len(roll) - 1, len(two_theta) - 1)
    kernel = Kernel(
        edges=(rock, roll, two_theta),
        table=guard.numbers(group, "density", kinds="f", shape=shape),
        rays=int(guard.numbers(entry, "rays", kinds="iu", ndim=0)),
        outside=guard.number(entry, "outside"),
        throughput=guard.number(entry, "throughput"),
        conditions=_record(entry, "conditions"),
        tracing=_record(entry, "tracing"),
    )
    return kernel, guard.text(entry, "sha256")


def _record(entry: h5py.Group, name: str) -> dict[str, Any]:
    """A record that is stored as JSON."""
    found = json.loads(guard.text(entry, name))
    if not isinstance(found, dict):
        raise guard.Fault(f"{entry.name}/{name}", "is no record")
    return found


def _sha256(kernel: Kernel) -> str:
    """Hash of every number and of the conditions."""
    digest = hashlib.sha256(np.ascontiguousarray(kernel.table, dtype="<f4").tobytes())
    for edge in kernel.edges:
        digest.update(np.ascontiguousarray(edge, dtype="<f8").tobytes())
    numbers = [getattr(kernel, name) for name in _NUMBERS]
    record = [numbers, dict(kernel.conditions), dict(kernel.tracing)]
    digest.update(json.dumps(record, sort_keys=True).encode())
    return digest.hexdigest()


def _text_sha256(record: Any) -> str:
    return hashlib.sha256(json.dumps(dict(record), sort_keys=True).encode()).hexdigest()


def _probe(path: Path) -> Path:
    """Name of a file that tells whether its folder takes one."""
    return path.with_name(f"{path.name}.{os.getpid()}.part")
