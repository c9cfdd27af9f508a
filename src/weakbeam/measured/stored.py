"""What the file of the maps of a measured scan holds."""

from __future__ import annotations

import numpy as np

from weakbeam.analysis.reduction import ANGULAR, MAP_NAMES
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
    found: dict[str, tuple[Floats, str, str]] = {}
    for motor, by_kind in maps.motors.items():
        for kind, values in by_kind.items():
            unit = scan.units[motor] if kind in ANGULAR else ""
            found[f"{motor}_{kind}"] = values, unit, f"{MAP_NAMES[kind]} of {motor}"
    found["intensity"] = maps.intensity, "counts", "sum of the frames"
    found["brightest"] = maps.brightest, "counts", "largest value in any frame"
    if mapped.misorientation is not None:
        unit = scan.units[mapped.orientation[0]]
        found["misorientation"] = mapped.misorientation, unit, "kernel-average misorientation"
    if mapped.strain is not None:
        found["strain"] = mapped.strain, "", "axial strain, from the median"
    if mapped.strain_peak is not None:
        long_name = "axial strain from the peak, from the median"
        found["strain_peak"] = mapped.strain_peak, "", long_name
    if np.ndim(maps.background) == 2:
        found["background"] = np.asarray(maps.background), "counts", "subtracted background"
    return StoredMaps(
        title=f"maps of {scan.title}",
        maps=found,
        image_axes=scan.image_axes,
        scan={motor: (axis, scan.units[motor]) for motor, axis in mapped.grid.axes.items()},
        process={
            "source_file": scan.path.name,
            "source_entry": scan.entry,
            "detector": scan.detector,
            "frames": scan.frames,
            "grid": mapped.grid.kind,
            "background": background,
            "threshold": threshold,
            "warnings": "\n".join(mapped.warnings),
        },
    )
