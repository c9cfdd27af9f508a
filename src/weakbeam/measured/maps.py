"""Maps of a measured scan: from the frames of a file to arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from weakbeam.analysis.drift import Drift
from weakbeam.analysis.noise import (
    FLOOR,
)
from weakbeam.analysis.orientation import kernel_average_misorientation, lattice_turns
from weakbeam.analysis.reduction import (
    ScanMaps,
    dark_total,
)
from weakbeam.analysis.remarks import Remark
from weakbeam.analysis.scan_grid import ScanGrid
from weakbeam.analysis.survey import FrameSurvey
from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.core.bars import Progress, teller
from weakbeam.errors import InputError, RunError
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.region import Region
from weakbeam.measured.alignment import align_scan
from weakbeam.measured.background import BACKGROUNDS, cut_to, is_of_scan
from weakbeam.measured.figures import measured_figures
from weakbeam.measured.findings import Findings
from weakbeam.measured.gathering import (
    FEWEST_FRAMES,
    Choices,
    Gathered,
    ProgressShares,
    gathered_maps,
    lost_frames,
    taken_frames,
)
from weakbeam.measured.remarks import remarks_on
from weakbeam.measured.response import Response, response_of
from weakbeam.measured.selection import selected
from weakbeam.measured.strain import arm_of, missing_energy, strain_of, turning_motors
from weakbeam.run.pictures import Figures, picture_html

MEMORY_BYTES = 2**30

_ALIGNING = 0.4
"""Share of the work that is done when the drift is measured."""

_LARGEST_KERNEL = 99
"""Side of the square of neighbours (pixels); the time grows with its area."""


@dataclass(frozen=True, eq=False, repr=False)
class MeasuredMaps:
    """Maps of a measured scan.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    grid : ScanGrid
        The grid of the positions of the frames that are not left out.
    maps : ScanMaps
        Moments, peak and width for each motor, in the motor's unit.
    orientation : tuple of str
        The motors that turn the sample, the slowest first: those of a mosaicity map.
    misorientation : (rows, columns) ndarray or None
        Kernel-average misorientation over them.
    strain, strain_peak : (rows, columns) ndarray or None
        Axial strain from centre of mass and from the peak, where the scattering angle or the energy
        was scanned.
    remarks : tuple of Remark
        What to know before the maps are trusted.
    apparent : bool
        Whether that strain is an apparent one: the arm was scanned alone.
    response : Response or None
        How the instrument answers to strain and rotations, of simulated scans.
    noise : float
        Standard deviation of the values of frames without light; 0 where it was not estimated.
    floor : float
        Times the noise by which a pixel stands out where it is lit; 0: sums over the whole scan.
    drift : Drift or None
        Drift of the image over the scan, before it was taken out if that was asked for.
    """

    scan: MeasuredScan
    grid: ScanGrid
    maps: ScanMaps
    orientation: tuple[str, ...]
    misorientation: Floats | None
    strain: Floats | None
    strain_peak: Floats | None
    remarks: tuple[Remark, ...]
    apparent: bool = False
    response: Response | None = None
    noise: float = 0.0
    floor: float = 0.0
    drift: Drift | None = None

    def plot(self) -> Figures:
        """Draw the maps: name -> matplotlib Figure; a notebook shows them."""
        return Figures(measured_figures(self))

    def __repr__(self) -> str:
        motors = ", ".join(self.maps.motors) or "no motor"
        lit = f"{int(self.maps.lit.sum())} of {self.maps.lit.size} pixels lit"
        odd = f"; {len(self.remarks)} remarks" if self.remarks else ""
        return f"<MeasuredMaps of {self.scan.where}: {motors}; {lit}{odd}>"

    def _repr_html_(self) -> str:
        # The one that tells the most; `plot` draws all of them.
        figures = self.plot()
        shown = figures.get("mosaicity") or list(figures.values())[min(1, len(figures) - 1)]
        return f"<div>{picture_html(shown)}{self.scan.remarks_html(self.warnings)}</div>"

    @property
    def warnings(self) -> tuple[str, ...]:
        """The remarks, a line each."""
        return tuple(remark.text for remark in self.remarks)

    @property
    def strain_shown(self) -> float | None:
        """Share of a homogeneous strain that an apparent one is; None where that is not known."""
        return self.response.strain if self.apparent and self.response is not None else None

    @property
    def turns(self) -> Floats:
        """Turns of the lattice, one map for each motor of `orientation`, in its unit.

        Of simulated scans along two axes at right angles across the diffraction vector; otherwise
        the centres of mass as they are.
        """
        centers = np.stack([self.maps.motors[motor]["com"] for motor in self.orientation])
        vectors = None if self.response is None else self.response.turning(self.orientation)
        return centers if vectors is None else lattice_turns(centers, vectors)


def map_scan(
    scan: MeasuredScan,
    background: str | float | Floats = "none",
    threshold: float = 0.0,
    relative: bool = False,
    theta: float | None = None,
    kernel: int = 3,
    workers: int | None = None,
    memory: int = MEMORY_BYTES,
    progress: Progress | bool | None = None,
    floor: float | None = None,
    skip: Sequence[int] = (),
    roi: Region | str | None = None,
    mask: ArrayLike | None = None,
    hot: float | None = None,
    pixel_nm: float | tuple[float, float] | None = None,
    align: bool = False,
) -> MeasuredMaps:
    """Map a measured scan; frames are read block by block.

    Parameters
    ----------
    scan : MeasuredScan
        The scan, from :func:`weakbeam.io.foreign.read_scan`. Frames that its remarks leave out are
        left out, and so are frames of zeros among others that have counts.
    background : {"none", "minimum", "median"}, float or (rows, columns) ndarray
        Subtracted from every frame: nothing, each pixel's minimum or median over the scan, one
        number for all pixels, or an image. What is then negative counts as it is. With a floor the
        median is refined to the mean of the frames in which the pixel is not lit.
    threshold : float
        Pixels whose largest value above the background is not larger than this have no maps.
    relative : bool
        Whether the threshold is a share of the brightest pixel's; one that is bright in a single
        frame and brighter than all others by far does not count.
    theta : float, optional
        Bragg angle (rad) for the strain; by default half of the arm's mean position.
    kernel : int
        Side of the square of neighbours for the misorientation.
    workers : int, optional
        Threads that unpack frames.
    memory : int
        Bytes for what is gathered of the frames; of larger images it is gathered in bands of rows,
        and the file is read once for each. The maps come on top.
    progress : callable or bool, optional
        Told which share of the work is newly done; True shows a bar.
    floor : float, optional
        A pixel is lit in a frame where it is this many times the noise above the background, and
        its sums run over the part of the scan in which it is lit
        (:mod:`weakbeam.analysis.noise`); 0 for sums over the whole scan. By default 5 for counts
        and where the background is taken from the scan, whose noise it shares, and 0 otherwise.
    skip : sequence of int
        Frames to leave out, from 0.
    roi, mask, hot, pixel_nm
        Which pixels are taken, and how large they are: see
        :func:`weakbeam.measured.selection.selected`.
    align : bool
        Whether frames are moved back by the drift of the image, if there is a significant one.
        Pixels that then are not known in every frame have no maps.

    Returns
    -------
    MeasuredMaps

    Raises
    ------
    InputError
        If an argument is not allowed.
    RunError
        If frames are missing or cannot be read, or hold no light.
    """
    scan = selected(scan, skip=skip, roi=roi, mask=mask, hot=hot, pixel_nm=pixel_nm)
    if not 3 <= kernel <= _LARGEST_KERNEL or kernel % 2 == 0:
        raise InputError("kernel", kernel, f"must be odd, from 3 to {_LARGEST_KERNEL}")
    if isinstance(background, str) and background not in BACKGROUNDS:
        allowed = "must be a number or one of " + ", ".join(BACKGROUNDS)
        raise InputError("background", background, allowed)
    if not isinstance(background, str) and np.ndim(background):
        background = cut_to(np.asarray(background), scan)
    if theta is not None and not 0.0 < theta < 0.5 * math.pi:
        shown = float(f"{math.degrees(theta):g}")
        raise InputError("theta", shown, "must be a Bragg angle, above 0 and below 90 deg")
    if floor is not None and not (floor >= 0.0 and math.isfinite(floor)):
        raise InputError("floor", floor, "must be a number from 0 on")
    usual = FLOOR if scan.counts or is_of_scan(background) else 0.0
    choices = Choices(background, usual if floor is None else floor, memory, workers, align)
    shares = ProgressShares(teller(progress, 1.0))
    camera: FrameSurvey | None = None
    before: Drift | None = None
    if align:
        scan, camera, before = align_scan(
            scan, choices.level, workers, lambda share: shares.add(_ALIGNING * share)
        )
    gathered = gathered_maps(taken_frames(scan), choices, shares)
    if not gathered.maps.lit.any():
        if floor:
            raise InputError("floor", floor, "leaves no pixel")
        # What was taken for the noise of dark frames is none.
        choices = replace(choices, floor=0.0)
        gathered = gathered_maps(taken_frames(scan), choices, shares)
    lost = list(lost_frames(gathered.survey, gathered.taken))
    if lost:
        scan = scan.remarked(*lost)
        gathered = gathered_maps(taken_frames(scan), choices, shares)
    shares.done()
    if floor and gathered.floor == 0.0:
        text = (
            f"{scan.where}: `floor` has no effect, since there are no {FEWEST_FRAMES} frames, or "
            "all values are above it without a background: sums run over the whole scan"
        )
        scan = scan.remarked(Remark("floor", text))
        gathered = replace(gathered, taken=replace(gathered.taken, scan=scan))
    if theta is not None and arm_of(scan) is None:
        text = f"{scan.where}: `theta` has no effect, since no arm was scanned"
        scan = scan.remarked(Remark("theta", text))
        gathered = replace(gathered, taken=replace(gathered.taken, scan=scan))
    mapped = _maps_of(gathered, choices, threshold, relative, theta, kernel, camera)
    return mapped if before is None else replace(mapped, drift=before)


def _maps_of(
    gathered: Gathered,
    choices: Choices,
    threshold: float,
    relative: bool,
    theta: float | None,
    kernel: int,
    camera: FrameSurvey | None,
) -> MeasuredMaps:
    """Leave out dark pixels, and derive misorientation, strain and remarks."""
    taken, maps, scan = gathered.taken, gathered.maps, gathered.taken.scan
    if not float(maps.brightest.max()) > 0.0:
        raise RunError(f"{scan.where} has no light above the background")
    scale, zingers = gathered.survey.scale(maps.background)
    least = threshold * scale if relative else threshold
    unlit = int((~maps.lit & taken.used).sum())
    maps = maps.masked(
        (maps.brightest > least)
        & (maps.intensity > dark_total(maps.intensity[~zingers & ~gathered.survey.stuck]))
        & ~gathered.survey.stuck
    )
    if not maps.lit.any() and least > 0.0:
        brightest = f"the brightest has {scale:g}"
        raise InputError("threshold", threshold, f"leaves no pixel: {brightest}")
    if not maps.lit.any():
        raise RunError(
            f"{scan.where}: of no pixel the centre of mass is inside the scan: the background is "
            f"too high ({choices.kind} of {taken.frames} frames)"
        )
    turning = turning_motors(scan, taken.grid)
    response = response_of(scan, taken.weights.frame) if scan.positions else None
    arm = arm_of(scan)
    mapped = MeasuredMaps(
        scan=scan,
        grid=taken.grid,
        maps=maps,
        orientation=turning,
        misorientation=None,
        strain=strain_of(scan, maps, theta, "com"),
        strain_peak=strain_of(scan, maps, theta, "peak"),
        remarks=(),
        apparent=arm is not None and len(scan.positions) == 1 and not scan.along,
        response=response,
        noise=gathered.noise,
        floor=gathered.floor,
    )
    if turning and len({scan.units[motor] for motor in turning}) == 1:
        turned = kernel_average_misorientation(mapped.turns, kernel)
        mapped = replace(mapped, misorientation=turned)
    drift = None
    if gathered.groups is not None:
        level = None if choices.kind == "none" else maps.background
        drift = gathered.groups.drift(taken.used & ~gathered.survey.stuck, level)
        mapped = replace(mapped, drift=drift)
    findings = Findings(
        scan=scan,
        frames=taken.numbers,
        grid=taken.grid,
        weights=taken.weights,
        maps=maps,
        survey=gathered.survey,
        camera=gathered.survey if camera is None else camera,
        used=taken.used,
        drift=drift,
        noise=gathered.noise,
        floor=gathered.floor,
        darkest=gathered.darkest,
        ends=gathered.ends,
        light_medians=gathered.light_medians,
        zingers=zingers,
        unlit=unlit,
        background=choices.kind,
        no_energy=missing_energy(scan),
        apparent=mapped.apparent,
        strain_shown=None if response is None else response.strain,
    )
    return replace(
        mapped,
        maps=_blank(maps, taken.used),
        remarks=(*scan.remarks, *remarks_on(findings)),
    )


def _blank(maps: ScanMaps, used: NDArray[np.bool_]) -> ScanMaps:
    """The maps without a value in pixels that do not count."""
    if used.all():
        return maps
    level = maps.background
    return replace(
        maps,
        intensity=np.where(used, maps.intensity, np.nan),
        brightest=np.where(used, maps.brightest, np.nan),
        background=np.where(used, level, np.nan) if np.ndim(level) else level,
    )
