"""What a notebook shows of arrays, runs and experiments."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats
from weakbeam.errors import InputError
from weakbeam.imaging.motors import MOTORS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from weakbeam.plot.view import View

_IMAGES = ({"x", "y"}, {"row", "column"})


class Labelled(Protocol):
    """What an array tells of itself (:class:`weakbeam.run.labelled.LabelledArray`)."""

    @property
    def values(self) -> NDArray[Any]:
        """The numbers."""

    @property
    def dims(self) -> tuple[str, ...]:
        """Name of each axis."""

    @property
    def coords(self) -> Mapping[str, NDArray[Any]]:
        """Position of each index along each axis."""

    @property
    def units(self) -> Mapping[str, str]:
        """Units of axes and values."""

    @property
    def long_names(self) -> Mapping[str, str]:
        """What axes and values are."""


class Figures(dict[str, "Figure"]):
    """Figures by their names, which a notebook shows one below the other."""

    def _repr_html_(self) -> str:
        return "".join(
            f"<div><b>{escape(name)}</b></div>{picture_html(figure)}"
            for name, figure in self.items()
        )


def picture_html(figure: Figure) -> str:
    """A figure as an element of a page."""
    from weakbeam.plot.style import SCREEN_DPI, render

    data = b64encode(render(figure, ".png", SCREEN_DPI)).decode()
    return f'<img style="max-width: 100%" src="data:image/png;base64,{data}">'


def labelled_figure(array: Labelled, most: int, **options: Any) -> Figure:
    """Draw a curve, an image, or at most so many frames of a scan side by side.

    Raises
    ------
    InputError
        If the axes are neither those of a curve nor of images, or an option is none.
    """
    _check_options(options)
    label = quantity_of(array)
    if array.values.ndim == 1:
        return _curve(array, label, **options)
    if array.values.ndim == 0 or {*array.dims[-2:]} not in _IMAGES:
        raise InputError(
            "axes",
            ", ".join(array.dims) or None,
            "are neither one nor those of images; choose a part by nearest",
        )
    view = view_of(array)
    if array.values.ndim == 2:
        if float(np.nanmin(array.values, initial=0.0)) < 0.0:
            return _signed(array, view, label, **options)
        from weakbeam.plot.image import image_figure

        return image_figure(array.values, view, intensity_label=label, **options)
    from weakbeam.plot.montage import montage_figure

    frames = array.values.reshape(-1, *array.values.shape[-2:])
    shown = np.unique(np.linspace(0, len(frames) - 1, min(most, len(frames))).round().astype(int))
    labels = [_place(array, np.unravel_index(k, array.values.shape[:-2])) for k in shown]
    return montage_figure(frames[shown], labels, view, label=label, **options)


def montage(images: Mapping[str, Labelled], **options: Any) -> Figure:
    """Draw images side by side, each under its name.

    Parameters
    ----------
    images : mapping of str to LabelledArray
        Images of one shape, such as those of several dislocations.
    **options
        ``scale`` ("linear", "log", "asinh"), ``limits`` (low, high) of all colours and ``title``.
        Without limits every image has colours of its own.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no image, or they do not have the axes of one image.

    Examples
    --------
    >>> import weakbeam as wb
    >>> small = wb.Experiment().replace(camera={"pixels": (20, 60)})
    >>> weak = {
    ...     f"φ = {phi} mrad": wb.simulate(small.replace(scan={"phi": {"value_mrad": phi}})).images
    ...     for phi in (-0.15, 0.15)
    ... }
    >>> figure = wb.montage(weak)
    """
    from weakbeam.plot.montage import montage_figure

    _check_options(options)
    arrays = list(images.values())
    if not arrays:
        raise InputError("images", None, "must be one image at least")
    first = arrays[0]
    for name, array in images.items():
        if array.values.ndim != 2 or {*array.dims} not in _IMAGES:
            raise InputError(
                "images", name, f"has the axes {', '.join(array.dims)}, not an image's"
            )
        if array.dims != first.dims or array.values.shape != first.values.shape:
            raise InputError("images", name, "has another shape than the first")
    frames = np.stack([array.values for array in arrays])
    return montage_figure(
        frames,
        list(images),
        view_of(first),
        label=quantity_of(first),
        own_range="limits" not in options,
        **options,
    )


@dataclass(frozen=True, eq=False)
class _Axis:
    """An axis as views want it."""

    name: str
    values_um: Floats
    long_name: str


def _check_options(options: Mapping[str, object]) -> None:
    allowed = ("limits", "scale", "title")
    for name, value in options.items():
        if name not in allowed:
            raise InputError(name, value, f"allowed are {', '.join(allowed)}")


def view_of(array: Labelled) -> View:
    """What the last two axes of an array are."""
    from weakbeam.plot.view import View

    dims = array.dims[-2:]
    axes = [
        _Axis(dim, np.asarray(array.coords[dim], float), array.long_names.get(dim, ""))
        for dim in dims
    ]
    if {*dims} == {"x", "y"}:
        return View.of_axes(*axes)
    return View(axes[0].values_um, axes[1].values_um, pixels=True)


def quantity_of(array: Labelled) -> str:
    """What the values of an array are, with their unit."""
    name, unit = array.long_names.get("values", "value"), array.units.get("values", "")
    return f"{name} ({unit})" if unit else name


def _curve(array: Labelled, label: str, **options: Any) -> Figure:
    from weakbeam.plot.scan_curves import curves_figure

    (dim,) = array.dims
    motor, positions = MOTORS.get(dim), array.coords[dim]
    if motor is not None:
        axis, positions = motor.label, motor.shown(positions)
    else:
        unit = array.units.get(dim, "").replace("um", "µm")
        axis = f"{dim} ({unit})" if unit else dim
    title = str(options.get("title", ""))
    return curves_figure(
        positions, {"curve": array.values}, axis_label=axis, intensity_label=label, title=title
    )


def _signed(array: Labelled, view: View, label: str, **options: Any) -> Figure:
    from weakbeam.plot.panels import Panel, panels_figure

    title = str(options.get("title", ""))
    return panels_figure([Panel("", array.values, label, True)], view, title=title)


def _place(array: Labelled, index: Any) -> str:
    """Where a frame was taken."""
    texts = []
    for dim, k in zip(array.dims, index, strict=False):
        motor, at = MOTORS.get(dim), float(array.coords[dim][k])
        if motor is None:
            texts.append(f"{dim} {at:g}")
        else:
            texts.append(f"{motor.offset_symbol} {float(motor.shown(at)):.4g} {motor.shown_unit}")
    return ", ".join(texts)
