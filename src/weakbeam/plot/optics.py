"""The layout of the objective: rays from the sample through the lens to the camera."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from weakbeam.core.arrays import Floats
from weakbeam.instrument.objective import CompoundRefractiveLens
from weakbeam.plot.style import COLORS, DOUBLE_COLUMN_MM, FAINT, INK, add_axes, add_text, paper

_LEFT_MM, _WIDTH_MM, _HEIGHT_MM = 16.0, 162.0, 46.0
_METRES, _MILLIMETRES = 1e-6, 1e-3
_LENS_COLOR = "0.82"
# Angles of the rays of a point, in standard deviations of the acceptance.
_FAN = np.linspace(-2.0, 2.0, 9)


def layout_figure(lens: CompoundRefractiveLens, field_height: float, *, title: str = "") -> Figure:
    """Draw the path of the diffracted beam from the side, as a whole and through the lens.

    Both panels are to scale along the beam, and to another, common scale across it. Rays start from
    the axis and from a point at the edge of the field, in nine directions up to two standard
    deviations of the acceptance on either side of its centre; the more of a ray the lens absorbs,
    the paler it is. Rays that a rim stops are left out.

    The figure is two columns wide.

    Parameters
    ----------
    lens : CompoundRefractiveLens
        The lens and its distance from the sample.
    field_height : float
        Height of the point at the edge of the field of view (µm).
    title : str
        A line above the panels.

    Raises
    ------
    ValueError
        If the height of the field is not positive and finite.
    """
    if not 0.0 < field_height < np.inf:
        raise ValueError(f"height of the field {field_height:g} µm is not positive and finite")
    reach = 0.5 * max(lens.aperture, 2.0 * lens.magnification * field_height)
    with paper(DOUBLE_COLUMN_MM, 132.0) as figure:
        overview = add_axes(figure, _LEFT_MM, 73.0, _WIDTH_MM, _HEIGHT_MM)
        blow_up = add_axes(figure, _LEFT_MM, 10.0, _WIDTH_MM, _HEIGHT_MM)
        for axes, scale in ((overview, _METRES), (blow_up, _MILLIMETRES)):
            _draw_rays(axes, lens, 0.0, scale, COLORS[0])
            _draw_rays(axes, lens, field_height, scale, COLORS[1])
            axes.axhline(0.0, color=FAINT, linewidth=0.5, linestyle=(0, (8, 3, 1, 3)), zorder=1)
            axes.set_ylim(-1.08 * reach, 1.08 * reach)
            axes.set_ylabel("height (µm)")
            axes.spines[["top", "right"]].set_visible(False)
        _finish_overview(overview, lens, reach)
        _finish_blow_up(blow_up, lens)
        _write_titles(figure, lens, field_height, title)
    return figure


def _draw_rays(
    axes: Axes, lens: CompoundRefractiveLens, height: float, scale: float, color: str
) -> None:
    angles = lens.vignetting * height + lens.acceptance_rms * _FAN
    along, heights = lens.ray_path(height, angles)
    clear = np.abs(heights[:, 1:-1]).max(axis=1) <= lens.aperture / 2.0
    share = lens.transmission(height, angles) / lens.axial_transmission
    for ray, passed in zip(heights[clear], share[clear], strict=True):
        axes.plot(along * scale, ray, color=color, linewidth=0.7, alpha=0.15 + 0.85 * float(passed))


def _finish_overview(axes: Axes, lens: CompoundRefractiveLens, reach: float) -> None:
    entrance, leaving = lens.distance * _METRES, (lens.distance + lens.length) * _METRES
    end, rim = lens.total_length * _METRES, lens.aperture / 2.0
    axes.fill_between(
        [entrance, leaving], -rim, rim, color=_LENS_COLOR, edgecolor=FAINT, linewidth=0.4, zorder=0
    )
    axes.plot([0.0, 0.0], [-0.5 * reach, 0.5 * reach], color=INK, linewidth=1.6)
    axes.plot([end, end], [-reach, reach], color=INK, linewidth=1.6)
    focus = leaving + lens.back_focal_distance * _METRES
    # A very long stack may have its back focal plane inside.
    if leaving < focus < end:
        axes.axvline(focus, ymin=0.04, ymax=0.96, color=COLORS[2], linewidth=0.8, dashes=(4, 2))
    axes.set_xlim(-0.02 * end, 1.02 * end)
    axes.set_xlabel(
        f"distance from the sample along the diffracted beam (m); {_stretch(axes, 1e6)}"
    )
    axes.text(0.0, 0.54 * reach, "sample", ha="center", va="bottom", rotation="vertical", size=6.5)
    axes.text(1.006 * end, reach, "camera", ha="left", va="top", rotation="vertical", size=6.5)
    for start, stop, name in (
        (0.0, entrance, "$d_1$"),
        (entrance, leaving, "$L$"),
        (leaving, end, "$d_2$"),
    ):
        _dimension(axes, start, stop, name)


def _dimension(axes: Axes, start: float, stop: float, name: str) -> None:
    """Name a length by arrows above the panel."""
    place = axes.get_xaxis_transform()
    axes.annotate(
        "",
        xy=(start, 1.05),
        xytext=(stop, 1.05),
        xycoords=place,
        textcoords=place,
        arrowprops={
            "arrowstyle": "<->",
            "linewidth": 0.5,
            "color": INK,
            "shrinkA": 0,
            "shrinkB": 0,
            "mutation_scale": 5,
        },
        annotation_clip=False,
    )
    axes.text((start + stop) / 2.0, 1.075, name, transform=place, ha="center", size=6.5)


def _stretch(axes: Axes, microns: float) -> str:
    """Say how much larger heights are drawn than lengths in a unit of so many microns."""
    along = float(np.ptp(axes.get_xlim())) * microns / _WIDTH_MM
    across = float(np.ptp(axes.get_ylim())) / _HEIGHT_MM
    return f"heights are drawn {float(f'{along / across:.2g}'):.0f} times as large"


def _finish_blow_up(axes: Axes, lens: CompoundRefractiveLens) -> None:
    lenslets = PolyCollection(
        list(lenslet_outlines(lens) * np.array([_MILLIMETRES, 1.0])),
        facecolors=_LENS_COLOR,
        edgecolors=FAINT,
        linewidths=0.25,
        zorder=0,
    )
    axes.add_collection(lenslets)
    margin = 0.02 * lens.length
    axes.set_xlim(
        (lens.distance - margin) * _MILLIMETRES,
        (lens.distance + lens.length + margin) * _MILLIMETRES,
    )
    axes.set_xlabel(f"the same through the lens (mm); {_stretch(axes, 1e3)}")


def lenslet_outlines(lens: CompoundRefractiveLens, points: int = 25) -> Floats:
    """Outlines of the lenslets: two parabolas back to back, joined along the rims.

    Parameters
    ----------
    lens : CompoundRefractiveLens
        The lens.
    points : int
        Points along each parabola.

    Returns
    -------
    (N, 2 points, 2) ndarray
        Distance from the sample and height of the corners of each lenslet (µm).
    """
    height = np.linspace(-0.5, 0.5, points) * lens.aperture
    surface = 0.5 * lens.web + height**2 / (2.0 * lens.radius)
    outline = np.column_stack(
        [np.concatenate([-surface, surface[::-1]]), np.concatenate([height, height[::-1]])]
    )
    centers = lens.distance + lens.pitch * (np.arange(lens.lenslets) + 0.5)
    outlines = np.repeat(outline[None], lens.lenslets, axis=0)
    outlines[:, :, 0] += centers[:, None]
    return outlines


def _write_titles(
    figure: Figure, lens: CompoundRefractiveLens, field_height: float, title: str
) -> None:
    lengths = (
        f"$d_1$ = {lens.distance * _METRES:.4g} m,  "
        f"lens $L$ = {lens.length * _MILLIMETRES:.4g} mm,  "
        f"$d_2$ = {lens.image_distance * _METRES:.4g} m"
    )
    right = add_text(figure, _LEFT_MM + _WIDTH_MM, 127.0, lengths, size=7.0, ha="right")
    taken = float(right.get_window_extent().width) / figure.dpi * 25.4
    add_text(figure, _LEFT_MM, 127.0, title, size=8.0, room_mm=_WIDTH_MM - taken - 4.0)
    left = _LEFT_MM
    for color, text in (
        (COLORS[0], "rays from the axis"),
        (COLORS[1], f"from {field_height:.3g} µm above it"),
        (COLORS[2], "back focal plane (dashed)"),
        (FAINT, "paler: more of the ray is absorbed in the lens"),
    ):
        add_text(figure, left, 61.0, text, size=6.5, color=color)
        left += 6.0 + 1.25 * len(text)
