"""What the file of the maps of a measured scan holds, and the maps that it gives back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from weakbeam.analysis.maxima import MAXIMA_NAMES
from weakbeam.analysis.reduction import ANGULAR, MAP_NAMES, ScanMaps, WholeCurve
from weakbeam.analysis.remarks import Remark, left_out_of
from weakbeam.analysis.scan_grid import ScanGrid
from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.io.maps_file import StoredMaps
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.region import Region
from weakbeam.measured.maps import MeasuredMaps
from weakbeam.measured.response import Response

_TITLE = "maps of "
_CURVE = "_curve"
_APPARENT = "apparent"


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
    counts = "counts" if scan.dtype.kind in "iu" else ""
    stored["intensity"] = maps.intensity, counts, "sum of the frames, each weighed by its step"
    stored["brightest"] = maps.brightest, counts, "largest value in any frame"
    if mapped.misorientation is not None:
        unit = scan.units[mapped.orientation[0]]
        stored["misorientation"] = mapped.misorientation, unit, misorientation_name(mapped)
    for name, strain in (("strain", mapped.strain), ("strain_peak", mapped.strain_peak)):
        if strain is not None:
            stored[name] = strain, "", strain_name(mapped, name)
    if np.ndim(maps.background) == 2:
        stored["background"] = np.asarray(maps.background), counts, "subtracted background"
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
        "noise": (mapped.noise, counts),
        "warnings": "\n".join(mapped.warnings),
        "motors": " ".join(maps.motors),
        "turning_motors": " ".join(mapped.orientation),
    }
    turning = None if mapped.response is None else mapped.response.turning(mapped.orientation)
    if turning is not None:
        process["turning_vectors"] = turning
    process |= _selection(scan)
    if mapped.drift is not None:
        places, (rows, columns) = mapped.drift.places, mapped.drift.shifts.T
        process |= {
            "drift_at_frame": places,
            "drift_rows": (rows, "pixel"),
            "drift_columns": (columns, "pixel"),
            "drift_error": (mapped.drift.error, "pixel"),
            "drift_taken_out": scan.shifts is not None,
        }
    if mapped.response is not None and mapped.response.strain is not None:
        process["strain_response"] = mapped.response.strain
    for motor, curve in maps.whole.items():
        process[f"{motor}_fwhm_of_sum"] = (curve.fwhm, scan.units[motor])
    along = {motor: (axis, scan.units[motor]) for motor, axis in mapped.grid.axes.items()}
    along |= {f"{name}{_CURVE}": (whole.intensity, counts) for name, whole in maps.whole.items()}
    return StoredMaps(
        title=f"{_TITLE}{scan.title}",
        maps=stored,
        image_axes=scan.image_axes,
        first=scan.first,
        scan=along,
        process=process,
    )


def mapped_of(stored: StoredMaps) -> MeasuredMaps:
    """The maps that a file holds, as they were before :func:`stored_maps`.

    Parameters
    ----------
    stored : StoredMaps
        From :func:`weakbeam.io.maps_file.read_maps`.

    Returns
    -------
    MeasuredMaps
        Of the scan it has what the file tells: name, title, units, axes of the image. Files of
        earlier versions do not tell which motors turn the sample, nor the curve of all pixels.

    Raises
    ------
    InputError
        If it lacks a map that all files have.
    """
    named, process = stored.maps, stored.process
    if "reflections_seen" in named:
        raise InputError(
            "file",
            stored.title,
            "has no maps of a scan; silx and ParaView show them, and its figures stand beside it",
        )
    motors = _text(process, "motors").split() or [
        name.removesuffix("_com") for name in named if name.endswith("_com")
    ]
    _check_whole(named, motors)
    by_motor: dict[str, dict[str, Floats]] = {}
    maxima: dict[str, dict[str, Floats]] = {}
    for motor in motors:
        for kinds, found in ((MAP_NAMES, by_motor), (MAXIMA_NAMES, maxima)):
            names = {kind: f"{motor}_{kind}" for kind in kinds}
            found[motor] = {kind: named[name][0] for kind, name in names.items() if name in named}
    axes = {motor: stored.scan[motor][0] for motor in motors if motor in stored.scan}
    curves = {motor: f"{motor}{_CURVE}" for motor in axes}
    intensity = named["intensity"][0]
    warnings = _text(process, "warnings").splitlines()
    remarks = tuple(Remark("stored", line) for line in warnings)
    roi = Region.of_text(_text(process, "roi")) if "roi" in process else None
    scan = MeasuredScan(
        path=Path(_text(process, "source_file")),
        entry=_text(process, "source_entry"),
        title=stored.title.removeprefix(_TITLE),
        detector=_text(process, "detector"),
        stack="",
        positions=axes,
        units={motor: named[f"{motor}_com"][1] for motor in motors},
        fixed={},
        frames=int(_number(process, "frames")),
        shape=(int(intensity.shape[0]), int(intensity.shape[1])),
        dtype=np.dtype(np.uint16 if named["intensity"][1] else np.float64),
        image_axes=stored.image_axes,
        remarks=remarks,
        roi=roi,
    )
    orientation = tuple(_text(process, "turning_motors").split())
    vectors = process.get("turning_vectors")
    response = None
    if isinstance(vectors, np.ndarray) and vectors.shape == (len(orientation), 3):
        response = Response(vectors=dict(zip(orientation, vectors, strict=True)))

    def there(name: str) -> Floats | None:
        return named[name][0] if name in named else None

    background = there("background")
    return MeasuredMaps(
        scan=scan,
        grid=ScanGrid(_text(process, "grid"), axes, {}, True),
        maps=ScanMaps(
            motors=by_motor,
            intensity=intensity,
            brightest=named["brightest"][0],
            background=0.0 if background is None else background,
            lit=np.isfinite(by_motor[motors[0]]["com"]),
            maxima={motor: found for motor, found in maxima.items() if found},
            whole={
                motor: WholeCurve(axes[motor], stored.scan[name][0])
                for motor, name in curves.items()
                if name in stored.scan
            },
        ),
        orientation=orientation,
        misorientation=there("misorientation"),
        strain=there("strain"),
        strain_peak=there("strain_peak"),
        remarks=remarks,
        apparent="strain" in named and named["strain"][2].startswith(_APPARENT),
        response=response,
        noise=_number(process, "noise"),
        floor=_number(process, "floor"),
    )


def _check_whole(named: Mapping[str, object], motors: Sequence[str]) -> None:
    """Refuse maps of which some are gone."""
    needed = ["intensity", "brightest", *(f"{motor}_com" for motor in motors)]
    for motor in motors:
        kinds = [f"{motor}_{kind}" for kind in MAXIMA_NAMES]
        if any(kind in named for kind in kinds):
            needed += kinds
    lacking = [name for name in needed if name not in named]
    if lacking or not motors:
        raise InputError(
            "maps", None, f"the file lacks {', '.join(lacking) or 'motors'}: it is damaged"
        )


def _text(process: Mapping[str, object], key: str) -> str:
    value = process.get(key, "")
    return value if isinstance(value, str) else ""


def _number(process: Mapping[str, object], key: str) -> float:
    value = process.get(key, 0.0)
    return float(value) if isinstance(value, int | float | np.number) else 0.0


def _selection(scan: MeasuredScan) -> dict[str, object]:
    """Which pixels were taken, where it was not all of them."""
    chosen: dict[str, object] = {}
    if scan.roi is not None and scan.camera is not None:
        chosen["roi"] = str(scan.roi)
        chosen["camera_pixels"] = list(scan.camera)
    if scan.pixel_nm is not None:
        chosen["pixel_size"] = (list(scan.pixel_nm), "nm")
    if scan.masked is not None:
        chosen["masked_pixels"] = int(scan.masked.sum())
    if scan.hot is not None:
        rows, columns = np.nonzero(scan.hot)
        chosen["hot_pixels"] = np.stack([rows, columns], axis=-1) + np.array(scan.first)
    return chosen


def strain_name(mapped: MeasuredMaps, name: str) -> str:
    """What a map of the strain is: apparent where the arm was scanned alone."""
    source = "the peak" if name == "strain_peak" else "the centre of mass"
    if mapped.apparent:
        share = ""
        if mapped.strain_shown is not None:
            share = f", {mapped.strain_shown:.3f} of a homogeneous one"
        text = f"{_APPARENT} axial strain of the arm scanned alone{share}"
        return f"{text}, from {source}, from the median"
    return f"axial strain from {source}, from the median"


def misorientation_name(mapped: MeasuredMaps) -> str:
    """What the map of the misorientation is: of the lattice, or of motors as they stand."""
    if mapped.scan.geometry:
        return "kernel-average misorientation of the lattice"
    return "kernel-average misorientation, the motors taken for turns across the diffraction vector"
