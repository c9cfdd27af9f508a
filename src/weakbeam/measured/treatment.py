"""What is done to scans and images before they are compared: pixels, background, maps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from weakbeam.analysis.remarks import Remark
from weakbeam.core.arrays import ArrayLike
from weakbeam.errors import InputError
from weakbeam.io.measured_scan import MeasuredScan
from weakbeam.io.region import Region
from weakbeam.measured.selection import selected
from weakbeam.measured.units import in_unit

_SAME = 1e-6
"""Places that differ by less (µm) are the same."""


@dataclass(frozen=True)
class Treatment:
    """How scans are mapped before they are compared.

    Parameters
    ----------
    background : str or float, optional
        Subtracted from frames of counts, as of :func:`weakbeam.measured.maps.map_scan`; by default
        the median of each pixel, or its minimum where there are fewer than 16 frames.
    threshold : float
        Pixels that are nowhere brighter have no maps.
    relative : bool
        Whether that is a share of the brightest pixel's value.
    floor : float, optional
        Times the noise, likewise.
    workers : int, optional
        Threads.
    roi : Region or str, optional
        The part of the camera that is compared: of the first file, and of all others with as many
        pixels that do not tell other axes.
    mask : (rows, columns) array_like, optional
        Pixels that are not to be used, true or not 0, likewise.
    hot : float, optional
        Replace pixels so many standard deviations above their neighbours, of measured scans.
    pixel_nm : float or (float, float), optional
        Size of a pixel in the sample (nm), of files that do not state it.
    align : bool
        Whether a drift of the image is taken out, of measured scans.
    unit : {"deg", "mrad", "urad"}, optional
        Unit of angles in figures and printed numbers; one that fits unless given.
    """

    background: str | float | None = None
    threshold: float = 0.0
    relative: bool = False
    floor: float | None = None
    workers: int | None = None
    roi: Region | str | None = None
    mask: ArrayLike | None = None
    hot: float | None = None
    pixel_nm: float | tuple[float, float] | None = None
    align: bool = False
    unit: str | None = None

    def check_maps(self, name: str) -> None:
        """Refuse what can only be done to frames, of a file of maps.

        Raises
        ------
        InputError
            If pixels are chosen or changed.
        """
        pixels = {"roi": self.roi, "mask": self.mask, "hot": self.hot, "pixel_nm": self.pixel_nm}
        given = [key for key, value in pixels.items() if value is not None]
        given += ["align"] if self.align else []
        if given:
            raise InputError(given[0], None, f"{name} is a file of maps; it has no frames")

    def of(
        self, scan: MeasuredScan, first: MeasuredScan | None, simulated: bool = False
    ) -> MeasuredScan:
        """The scan, with the pixels and in the unit that are asked for.

        Parameters
        ----------
        scan : MeasuredScan
            A scan, or what is known of an image.
        first : MeasuredScan or None
            The first of those that are compared, before anything was done to it; None for itself.
        simulated : bool
            Whether it is a simulation, which has no hot pixels.
        """
        chosen: dict[str, Any] = {"roi": self.roi, "mask": self.mask}
        if first is not None and not _same_camera(first, scan):
            if self.roi is not None or self.mask is not None:
                text = f"{scan.where}: another camera than that of the first, taken as a whole"
                scan = scan.remarked(Remark("camera", text))
            chosen = {}
        if self.pixel_nm is not None and scan.image_axes is None:
            chosen["pixel_nm"] = self.pixel_nm
        if not simulated:
            chosen["hot"] = self.hot
        return in_unit(selected(scan, **chosen), self.unit)


def scan_of_image(path: Path, shape: tuple[int, int], dtype: np.dtype[Any]) -> MeasuredScan:
    """What is known of an image that stands alone, as of a scan of one frame."""
    return MeasuredScan(path, "", "", "", "", {}, {}, {}, 1, shape, dtype, None)


def _same_camera(first: MeasuredScan, scan: MeasuredScan) -> bool:
    """Whether rows and columns of both are those of one camera, as far as they tell."""
    if first.shape != scan.shape:
        return False
    if first.image_axes is None or scan.image_axes is None:
        return True
    return all(
        a.name == b.name and np.allclose(a.values_um, b.values_um, rtol=0.0, atol=_SAME)
        for a, b in zip(first.image_axes, scan.image_axes, strict=True)
    )
