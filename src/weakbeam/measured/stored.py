"""What the file of the maps of a measured scan holds."""

from __future__ import annotations

import numpy as np

from weakbeam.analysis.maxima import MAXIMA_NAMES
from weakbeam.analysis.reduction import ANGULAR, MAP_NAMES
from weakbeam.analysis.remarks import left_out_of
from weakbeam.core.arrays import Floats
from weakbeam.io.maps_file import StoredMaps
from weakbeam.measured.maps import MeasuredMaps


def stored_maps(mapped: MeasuredMaps, background: str, threshold: str) -> StoredMaps:
    """What the file of the maps holds; `background` and `threshold` are noted as they were given.

    Parameters
    ----------
    mapped : MeasuredMaps
        From :func:`weakbeam.measured.maps.map_scan`.
    background, threshold : str
        The choices that were made.

    Returns
    -------
    StoredMaps
    """
    maps, scan = mapped.maps, mapped.scan
    stored: dict[str, tuple[Floats, str, str]] = {}
    for motor, by_kind in maps.motors.items():
        for kind, values in by_kind.items():
            unit = scan.units[motor] if kind in ANGULAR else ""
            stored[f"{motor}_{kind}"] = values, unit, f"{MAP_NAMES[kind]} of {motor}"
    for motor, by_kind in maps.maxima.items():
        for kind, values in by_kind.items():
            unit = scan.units[motor] if kind == "second_peak" else ""
            stored[f"{motor}_{kind}"] = values, unit, f"{MAXIMA_NAMES[kind]} of {motor}"
    stored["intensity"] = maps.intensity, "counts", "sum of the frames, each weighed by its step"
    stored["brightest"] = maps.brightest, "counts", "largest value in any frame"
    if mapped.misorientation is not None:
        unit = scan.units[mapped.orientation[0]]
        stored["misorientation"] = mapped.misorientation, unit, misorientation_name(mapped)
    for name, strain in (("strain", mapped.strain), ("strain_peak", mapped.strain_peak)):
        if strain is not None:
            stored[name] = strain, "", strain_name(mapped, name)
    if np.ndim(maps.background) == 2:
        stored["background"] = np.asarray(maps.background), "counts", "subtracted background"
    process: dict[str, object] = {
        "source_file": scan.path.name,
        "source_entry": scan.entry,
        "detector": scan.detector,
        "frames": scan.frames,
        "frames_left_out": left_out_of(mapped.remarks),
        "grid": mapped.grid.kind,
        "background": background,
        "threshold": threshold,
        "floor": mapped.floor,
        "noise": (mapped.noise, "counts"),
        "warnings": "\n".join(mapped.warnings),
    }
    if mapped.response is not None and mapped.response.strain is not None:
        process["strain_response"] = mapped.response.strain
    for motor, curve in maps.whole.items():
        process[f"{motor}_fwhm_of_sum"] = (curve.fwhm, scan.units[motor])
    return StoredMaps(
        title=f"maps of {scan.title}",
        maps=stored,
        image_axes=scan.image_axes,
        scan={motor: (axis, scan.units[motor]) for motor, axis in mapped.grid.axes.items()},
        process=process,
    )


def strain_name(mapped: MeasuredMaps, name: str) -> str:
    """What a map of the strain is: apparent where the arm was scanned alone."""
    source = "the peak" if name == "strain_peak" else "the centre of mass"
    if mapped.apparent:
        return f"apparent axial strain of the arm scanned alone, from {source}, from the median"
    return f"axial strain from {source}, from the median"


def misorientation_name(mapped: MeasuredMaps) -> str:
    """What the map of the misorientation is: of the lattice, or of motors as they stand."""
    if mapped.scan.geometry:
        return "kernel-average misorientation of the lattice"
    return "kernel-average misorientation, the motors taken for turns across the diffraction vector"
