"""The axes of images and maps in the output file: what their rows, columns and values are."""

from __future__ import annotations

import math

from weakbeam.analysis.moments import com_response
from weakbeam.analysis.reduction import ANGULAR, MAP_NAMES, OF_CURVES
from weakbeam.assemble import Setup
from weakbeam.imaging.motors import MOTORS
from weakbeam.io.entry import ImageAxis, MapAxis, motor_unit
from weakbeam.run.acquisition import Acquisition


def image_axes(setup: Setup) -> tuple[ImageAxis, ImageAxis]:
    """Axes of an image: where in the sample its rows and columns look, in µm."""
    grid = setup.grids[0]
    readout = setup.detector.readout
    rows, columns, swapped = readout.axes(grid.row_positions, grid.column_positions)
    x, y = grid.axis_labels
    if swapped:
        return ImageAxis("y", rows, y), ImageAxis("x", columns, x)
    return ImageAxis("x", rows, x), ImageAxis("y", columns, y)


def map_name(motor: str, kind: str) -> str:
    """Name of a map in the file, such as ``"phi_com"``."""
    return f"{MOTORS[motor].beamline_name}_{kind}"


def map_axes(acquisition: Acquisition) -> dict[str, MapAxis]:
    """The maps of a scan: what their values are.

    Parameters
    ----------
    acquisition : Acquisition
        The reflection and its scan.

    Returns
    -------
    dict of str to MapAxis
    """
    curves, moving = acquisition.curve_positions, acquisition.scan.moving
    maps = {}
    for motor in moving:
        unit, symbol = motor_unit(MOTORS[motor].beamline_name), MOTORS[motor].symbol
        for kind, meaning in MAP_NAMES.items():
            if kind in OF_CURVES and motor not in curves:
                continue
            axis = MapAxis("", f"{meaning} in {symbol}")
            if kind in ANGULAR:
                axis = MapAxis(unit, f"{meaning} of {symbol} ({unit})")
            maps[map_name(motor, kind)] = axis
    if acquisition.turning_motors:
        maps["misorientation"] = MapAxis("deg", "kernel-average misorientation (deg)")
    if "two_theta" in moving:
        # An arm that is scanned alone shows a part of the strain only (docs/how-to/maps.md).
        alone = moving == ("two_theta",) and not acquisition.scan.phi_per_two_theta
        kind = "axial strain"
        if alone:
            kind = f"apparent axial strain, arm scanned alone{_share(acquisition)}"
        maps["strain"] = MapAxis("", f"{kind}, from the centre of mass")
        if "two_theta" in curves:
            maps["strain_peak"] = MapAxis("", f"{kind}, from the peak")
    return maps


def _share(acquisition: Acquisition) -> str:
    """How much of a homogeneous strain a scan of the arm alone shows, in words."""
    setup = acquisition.setup
    geometry = setup.geometry
    arm = acquisition.scan.motor_positions("two_theta")[None]
    answer = com_response(setup.acceptance, acquisition.q_shifts, arm)[0]
    # A homogeneous strain ε changes q by -ε along the diffraction vector.
    along = geometry.lab_from_imaging.T @ geometry.q0_lab
    share = -float(answer @ along) / (2.0 * math.tan(geometry.theta))
    return f", {share:.3f} of a homogeneous one" if math.isfinite(share) else ""
