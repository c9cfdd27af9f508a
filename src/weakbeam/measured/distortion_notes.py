"""What to know of a distortion: of its scans, of where cameras look, of what stays open."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from weakbeam.imaging.motors import ANGLES
from weakbeam.measured.distortion_result import Distortion
from weakbeam.measured.reflection_map import ReflectionMap
from weakbeam.measured.reflection_scan import ReflectionScan
from weakbeam.measured.registration import Registration
from weakbeam.measured.seen_reflection import SeenReflection
from weakbeam.measured.sheet import Sheet

_UNSURE_PLACES = 1.0
_COARSE = 3.0
"""Steps of a scan, in widths of the acceptance along its motor, that are said to be coarse."""


def scan_remarks(one: ReflectionMap) -> list[str]:
    """What is odd about a scan and its curves."""
    where = f"{one.scan.name}, {one.scan.where}"
    said = [text for scan in one.scan.scans for text in scan.warnings]
    chi2 = float(np.nanmedian(one.chi2))
    if not one.noise.exact and chi2 > 2.0:
        said.append(
            f"{where}: the curves have χ² {chi2:.3g} per degree of freedom: optics, gain or the "
            "blur of the camera are not those of the experiment; errors were made larger for it"
        )
    said += [f"{where}: {text}" for text in _coarse(one.scan)]
    if one.noise.found:
        said.append(
            f"{where}: {one.noise.gain:.3g} counts per photon, found from the scatter about the "
            "curves"
        )
    if one.noise.exact:
        said.append(f"{where}: intensities without noise: no errors are told")
    setup = one.scan.setup
    if setup.detector.spread is not None:
        said.append(f"{where}: the blur of the camera is not taken out")
    if setup.tracing is not None or setup.kernel is not None:
        said.append(
            f"{where}: curves are fitted by the closed form of the acceptance, not its table"
        )
    return said


def _coarse(scan: ReflectionScan) -> list[str]:
    """Motors whose steps the acceptance falls between."""
    setup, said = scan.setup, []
    precision = np.linalg.inv(setup.acceptance.covariance())
    numbers = [ANGLES.index(name) for name in scan.moving]
    vectors = setup.geometry.motor_vectors[numbers]
    # Whatever a motor does that the others do as well, they make good.
    widths = np.sqrt(np.diag(np.linalg.pinv(vectors @ precision @ vectors.T, hermitian=True)))
    for name, k, width in zip(scan.moving, numbers, widths, strict=True):
        positions = np.unique(np.round(scan.offsets[:, k], 9))
        step = float(np.median(np.diff(positions)))
        if step > _COARSE * width:
            said.append(
                f"steps of {name} are {step / width:.1f} standard deviations of the acceptance: "
                "light falls between frames; is it this motor that rocks?"
            )
    return said


def registration_remarks(
    fitted: Registration, sheet: Sheet, seen: Sequence[SeenReflection], how: str
) -> list[str]:
    """Where cameras look beyond their geometry, or that nothing tells."""
    if how == "geometry":
        return []
    if not fitted.fitted:
        return [
            "cameras lie on each other by their geometry alone: the reflections tell no more than "
            "the distortion, so that no shift between them would show"
        ]
    said = []
    unsure = float(np.max(fitted.errors[:, :2])) / sheet.step
    if unsure > _UNSURE_PLACES:
        said.append(
            f"shifts of the cameras are told to {unsure:.0f} places only: errors of the distortion "
            "hold for cameras that look where geometry has them"
        )
    for one, correction, error in zip(seen, fitted.corrections, fitted.errors, strict=True):
        if correction.x or correction.y:
            pixels = math.hypot(correction.x, correction.y) / sheet.step
            said.append(
                f"{one.name}: its camera looks ({correction.x:+.3f} ± {error[0]:.3f}, "
                f"{correction.y:+.3f} ± {error[1]:.3f}) µm off its geometry, {pixels:.1f} places"
            )
        if correction.rotation or correction.magnification:
            said.append(
                f"{one.name}: its camera is turned by {1e3 * correction.rotation:.2f} mrad and "
                f"magnifies {1.0 + correction.magnification:.4f} times"
            )
    return said


def open_remarks(result: Distortion) -> list[str]:
    """What the reflections leave open, and where."""
    said = []
    left = result.open_combinations
    if left:
        names = "; ".join(one.text for one in left)
        said.append(
            f"{9 - len(left)} of 9 components or combinations are determined ({result.frame} "
            f"axes); open: {names}"
        )
    count = len(result.reflections)
    seen = result.seen
    every, some = int((seen == count).sum()), int(((seen > 0) & (seen < count)).sum())
    said.append(
        f"{every} places are seen in all {count} reflections, {some} in some of them, "
        f"{int((seen == 0).sum())} in none"
    )
    if every == 0:
        said.insert(0, "NO PLACE IS SEEN IN ALL REFLECTIONS")
    return said
