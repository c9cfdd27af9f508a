"""Which way up an image is drawn: one rule for all figures.

Matplotlib is not imported here, so that a run can describe a figure without it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import ArrayLike, Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.image import AxesImage


class Axis(Protocol):
    """An axis of an image, as files have it (:class:`weakbeam.io.entry.ImageAxis`)."""

    @property
    def name(self) -> str:
        """``"x"``, along the beam or along 2θ, or ``"y"``, across."""

    @property
    def values_um(self) -> Floats:
        """Coordinate of each row or column (µm)."""

    @property
    def long_name(self) -> str:
        """What the coordinate is."""


@dataclass(frozen=True, eq=False)
class View:
    """What the rows and columns of an image are, and how it is drawn.

    Images of a known orientation are drawn upright, however the camera was turned: y to the right
    and x, the way of the beam, down the page. So the picture is the layer seen from above, not its
    mirror image: right = y, down = x, towards the eye = z are right-handed. In oblique geometry the
    coordinates are those on the camera: across it to the right and along 2θ upwards. Where nothing
    is known, the picture is what the camera read: row 0 on top, column 0 on the left.

    Parameters
    ----------
    x : (n,) ndarray
        Coordinate of the rows, or of the columns if `swapped`: centres of the pixels in µm along
        the beam, or along 2θ on the camera, increasing or decreasing; or numbers of rows.
    y : (m,) ndarray
        That of the other axis: µm across, or numbers of columns.
    pixels : bool
        Whether they are numbers of pixels, or µm from the first pixel of the camera.
    on_camera : bool
        Whether µm are those of the camera, as in oblique geometry.
    swapped : bool
        Whether the rows of the image follow y, on a camera turned by a quarter of a circle.
    downwards : bool
        Whether x on the camera grows downwards, as files of earlier versions have it of a vertical
        one below a beam that goes down.
    against : bool
        Whether x on the camera grows against 2θ, as on such a camera.
    unit : str
        Of the numbers of pixels: ``"pixel"`` or ``"µm"``.
    """

    x: Floats
    y: Floats
    pixels: bool = False
    on_camera: bool = False
    swapped: bool = False
    downwards: bool = False
    against: bool = False
    unit: str = "pixel"

    @classmethod
    def of_pixels(cls, shape: tuple[int, int], first: tuple[int, int] = (0, 0)) -> View:
        """The view of an image of which nothing but its shape is known, and its first pixel."""
        rows, columns = (
            start + np.arange(length, dtype=float)
            for start, length in zip(first, shape, strict=True)
        )
        return cls(rows, columns, pixels=True)

    @classmethod
    def of_camera(cls, rows: Axis, columns: Axis) -> View:
        """The view of an image of which the size of its pixels is known, and no orientation."""
        x, y = (np.asarray(axis.values_um, dtype=float) for axis in (rows, columns))
        return cls(x, y, pixels=True, unit="µm")

    @classmethod
    def of_axes(cls, rows: Axis, columns: Axis) -> View:
        """The view of an image with the axes of a file, x and y in either order.

        Raises
        ------
        ValueError
            If the axes have other names.
        """
        if {rows.name, columns.name} != {"x", "y"}:
            raise ValueError(f"the axes of an image are x and y, not {rows.name}, {columns.name}")
        swapped = rows.name == "y"
        x, y = (columns, rows) if swapped else (rows, columns)
        return cls(
            np.asarray(x.values_um, dtype=float),
            np.asarray(y.values_um, dtype=float),
            on_camera="camera" in x.long_name,
            swapped=swapped,
            downwards="downwards" in x.long_name,
            against=x.long_name.startswith("against"),
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image as it is stored."""
        return (self.y.size, self.x.size) if self.swapped else (self.x.size, self.y.size)

    @property
    def x_grows_upwards(self) -> bool:
        """Whether larger x stands higher on the page."""
        return self.on_camera and not self.downwards

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """(left, right, bottom, top) of the picture, at the edges of its pixels."""
        first, last = self._ends(self.x, self.y)
        left, right = self._ends(self.y, self.x)
        low, high = (first, last) if self.x_grows_upwards else (last, first)
        return left, right, low, high

    @property
    def labels(self) -> tuple[str, str]:
        """What stands at the horizontal and at the vertical axis."""
        if self.pixels:
            return f"column of the camera ({self.unit})", f"row of the camera ({self.unit})"
        if self.on_camera:
            arrow, way = "← " if self.downwards else "", "against" if self.against else "along"
            return "across, on the camera (µm)", f"{arrow}{way} 2θ (µm)"
        # Read from below, so that the arrow points down the page, the way of the beam.
        return "y (µm)", "← x, along the beam (µm)"

    def field(self, values: ArrayLike) -> Floats:
        """Values of an image as floats, as they are stored.

        Raises
        ------
        ValueError
            If the image has another shape.
        """
        array = np.asarray(values, dtype=float)
        if array.shape != self.shape:
            raise ValueError(f"map of shape {array.shape} does not fit its axes {self.shape}")
        return array

    def upright(self, values: NDArray[Any]) -> NDArray[Any]:
        """Turn a stored image (rows, columns, ...) as it is drawn: its first row is on top."""
        array = values.swapaxes(0, 1) if self.swapped else values
        if _decreases(self.y):
            array = array[:, ::-1]
        return array[::-1] if _decreases(self.x) != self.x_grows_upwards else array

    def part(self, rows: slice, columns: slice) -> View:
        """The view of some rows and columns of the stored image."""
        along_x, along_y = (columns, rows) if self.swapped else (rows, columns)
        return replace(self, x=self.x[along_x], y=self.y[along_y])

    def stretched(self, shape: tuple[int, int]) -> View:
        """The view of an image of another shape around the same middle."""
        counts = shape[::-1] if self.swapped else shape
        x, y = (
            0.5 * (centers[0] + centers[-1])
            + self._pitch(centers, others) * (np.arange(count) - 0.5 * (count - 1))
            for centers, others, count in (
                (self.x, self.y, counts[0]),
                (self.y, self.x, counts[1]),
            )
        )
        return replace(self, x=x, y=y)

    def places(self, pixels: ArrayLike) -> Floats:
        """Where places of a stored image are in the picture.

        Parameters
        ----------
        pixels : (..., 2) array_like
            Row and column; whole numbers are the middles of pixels.

        Returns
        -------
        (..., 2) ndarray
            Horizontal and vertical coordinate, in the units of the axes.
        """
        row, column = np.moveaxis(np.asarray(pixels, dtype=float), -1, 0)
        along_x, along_y = (column, row) if self.swapped else (row, column)
        return np.stack(
            [
                _interpolated(self.y, along_y, self._pitch(self.y, self.x)),
                _interpolated(self.x, along_x, self._pitch(self.x, self.y)),
            ],
            axis=-1,
        )

    def box(self, width_mm: float, height_mm: float) -> tuple[float, float]:
        """Largest width and height (mm) in which the picture keeps its proportions."""
        return fit_box(self.extent, width_mm, height_mm)

    def draw(self, axes: Axes, values: ArrayLike, norm: Normalize, color_map: str) -> AxesImage:
        """Draw an image or a map: equal aspect, NaN in light grey.

        Parameters
        ----------
        axes : Axes
            Panel to draw in; it should have the proportions of the view (`box`).
        values : array_like, shape (rows, columns)
            The image as it is stored.
        norm : Normalize
            Maps values to colours.
        color_map : str
            Name of a colour map.

        Raises
        ------
        ValueError
            If the image does not fit the view.
        """
        from matplotlib import colormaps

        from weakbeam.plot.style import NAN_COLOR, few_ticks

        image = axes.imshow(
            np.ma.masked_invalid(self.upright(self.field(values))),
            norm=norm,
            cmap=colormaps[color_map].with_extremes(bad=NAN_COLOR),
            origin="upper",
            extent=self.extent,
            aspect="equal",
        )
        few_ticks(axes)
        across, along = self.labels
        axes.set_xlabel(across)
        axes.set_ylabel(along)
        return image

    def _ends(self, centers: Floats, others: Floats) -> tuple[float, float]:
        low, high = sorted(pixel_edges(centers, self._pitch(centers, others)))
        return low, high

    @staticmethod
    def _pitch(centers: Floats, others: Floats) -> float:
        """Size of a pixel along an axis; where there is only one, that along the other axis."""
        if centers.size > 1:
            return float(centers[-1] - centers[0]) / (centers.size - 1)
        return float(np.ptp(others)) / max(others.size - 1, 1) or 1.0


def pixel_edges(centers_um: ArrayLike, pitch_um: float = 1.0) -> tuple[float, float]:
    """Return the outer edges of the first and the last pixel of a row of pixels.

    Parameters
    ----------
    centers_um : array_like, shape (n,)
        Centres of the pixels, equally spaced, increasing or decreasing.
    pitch_um : float
        Size of the pixel where there is only one, and so no spacing to take it from.

    Raises
    ------
    ValueError
        If the centres are not one row of distinct, equally spaced numbers.
    """
    centers = np.asarray(centers_um, dtype=float)
    if centers.ndim != 1 or centers.size == 0 or not np.isfinite(centers).all():
        raise ValueError("pixel centres must be a non-empty row of finite numbers")
    if centers.size > 1:
        steps = np.diff(centers)
        pitch_um = float(steps.mean())
        if pitch_um == 0 or np.abs(steps - pitch_um).max() > 1e-3 * abs(pitch_um):
            raise ValueError("pixel centres must be equally spaced")
    return float(centers[0]) - pitch_um / 2, float(centers[-1]) + pitch_um / 2


def fit_box(
    extent: tuple[float, float, float, float], width_mm: float, height_mm: float
) -> tuple[float, float]:
    """Return the largest (width, height) in mm that shows a field in its true proportions."""
    left, right, bottom, top = extent
    scale = min(width_mm / abs(right - left), height_mm / abs(top - bottom))
    return scale * abs(right - left), scale * abs(top - bottom)


def _decreases(centers: Floats) -> bool:
    return bool(centers[0] > centers[-1])


def _interpolated(centers: Floats, numbers: Floats, pitch: float) -> Floats:
    return np.asarray(centers[0] + numbers * pitch)
