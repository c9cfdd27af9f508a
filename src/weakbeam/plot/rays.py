"""The acceptance as what it is: a cloud of rays in q, with its shadows on three walls."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.style import FAINT, INK, add_text, paper

_WIDTH_MM, _HEIGHT_MM = 130.0, 112.0
_LABELS = (
    r"$q_{\mathrm{rock}^\prime}\;(10^{-3})$",
    r"$q_{\mathrm{roll}}\;(10^{-3})$",
    r"$q_{2\theta}\;(10^{-3})$",
)
_BINS = 48
_LEVELS = 10
# Space around the cloud, in its own extent, so that it hangs clear of its shadows.
_MARGIN = 0.2
_ELEVATION_DEG, _AZIMUTH_DEG = 22.0, -52.0
# Grid lines of three-dimensional axes take their look when the axes are made.
_GRID: dict[Any, Any] = {"grid.color": "0.88", "grid.linewidth": 0.4}


def rays_figure(q_imaging: ArrayLike, *, title: str = "", note: str = "") -> Figure:
    r"""Draw accepted rays as points in the imaging frame, and their density on the back walls.

    The densities are histograms of the points, integrated along the normal of the wall and lightly
    smoothed (binomial weights over five bins), so that their contours are not those of the
    counting noise. Points further out are paler in colour. In SVG and PDF the points are a picture,
    all else stays lines and text.

    Parameters
    ----------
    q_imaging : array_like, shape (n, 3)
        :math:`q = \Delta Q / |Q_0|` of the rays, (q_rock', q_roll, q_2θ), dimensionless.
    title : str
        A line above the picture.
    note : str
        A line below the title, such as what stands in the beam.

    Returns
    -------
    Figure
        A figure of 130 mm by 112 mm.

    Raises
    ------
    ValueError
        If there are fewer than two rays, or they are not triples of finite numbers.
    """
    q = 1e3 * np.asarray(q_imaging, dtype=float)
    if q.ndim != 2 or q.shape[1:] != (3,) or len(q) < 2 or not np.isfinite(q).all():
        raise ValueError(f"rays of shape {q.shape} are not at least two triples of finite numbers")
    low, high = _limits(q)
    with paper(_WIDTH_MM, _HEIGHT_MM) as figure, mpl.rc_context(_GRID):
        # All that is three-dimensional has no types.
        axes: Any = figure.add_axes((0.0, 0.0, 0.96, 0.97), projection="3d", computed_zorder=False)
        axes.view_init(elev=_ELEVATION_DEG, azim=_AZIMUTH_DEG)
        axes.set_proj_type("persp", focal_length=1.6)
        axes.set_box_aspect((1.0, 1.0, 0.9), zoom=0.98)
        axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), zlim=(low[2], high[2]))
        # The walls that stand behind the cloud, seen from this side.
        for normal, place in enumerate((low[0], high[1], low[2])):
            _draw_wall(axes, q, low, high, normal, float(place))
        _draw_points(axes, q)
        _finish(axes)
        add_text(figure, 6.0, _HEIGHT_MM - 6.0, title, size=8)
        add_text(figure, 6.0, _HEIGHT_MM - 10.0, note, size=6.5, color=FAINT)
    return figure


def wall_density(first: Floats, second: Floats, edges: tuple[Floats, Floats]) -> Floats:
    """Smoothed histogram of two components of q.

    Parameters
    ----------
    first, second : (n,) ndarray
        The components.
    edges : tuple of two ndarray
        Edges of the bins.

    Returns
    -------
    (n1, n2) ndarray
        Counts, spread over the neighbouring bins; as many in total as there are points inside, but
        for what is spread over the border.
    """
    counts, _, _ = np.histogram2d(first, second, bins=edges)
    weights = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 16.0
    for axis in (0, 1):
        counts = np.apply_along_axis(np.convolve, axis, counts, weights, mode="same")
    return np.asarray(counts)


def _limits(q: Floats) -> tuple[Floats, Floats]:
    """Ends of the axes: all points and a margin; something to see where all are equal."""
    low, high = q.min(axis=0), q.max(axis=0)
    margin = _MARGIN * (high - low)
    margin[margin == 0.0] = 1e-3
    return low - margin, high + margin


def _draw_wall(axes: Any, q: Floats, low: Floats, high: Floats, normal: int, place: float) -> None:
    first, second = (axis for axis in range(3) if axis != normal)
    edges = [np.linspace(low[axis], high[axis], _BINS + 1) for axis in (first, second)]
    density = wall_density(q[:, first], q[:, second], (edges[0], edges[1]))
    centers = [(edge[1:] + edge[:-1]) / 2.0 for edge in edges]
    grids = list(np.meshgrid(*centers, indexing="ij"))
    grids.insert(normal, density)
    peak = float(density.max())
    axes.contourf(
        *grids,
        zdir="xyz"[normal],
        offset=place,
        # The lowest level keeps the paper white where there is next to nothing.
        levels=np.linspace(0.04, 1.0, _LEVELS + 1) * peak,
        cmap="Blues",
        vmin=-0.1 * peak,
        vmax=1.1 * peak,
        zorder=0,
    )


def _draw_points(axes: Any, q: Floats) -> None:
    # Their distance in standard deviations, by the covariance of the cloud itself.
    away = q - q.mean(axis=0)
    spread = np.linalg.pinv(np.cov(away.T))
    distance = np.sqrt(np.einsum("ni,ij,nj->n", away, spread, away))
    size = float(np.clip(6000.0 / len(q), 0.12, 6.0))
    axes.scatter(
        *q.T,
        c=-distance,
        cmap="YlOrBr",
        vmin=-4.5,
        vmax=0.0,
        s=size,
        alpha=0.5,
        linewidths=0,
        depthshade=False,
        rasterized=True,
        zorder=2,
    )


def _finish(axes: Any) -> None:
    for axis, label in zip((axes.xaxis, axes.yaxis, axes.zaxis), _LABELS, strict=True):
        axis.set_label_text(label)
        axis.labelpad = -3.0
        axis.set_pane_color((1.0, 1.0, 1.0, 0.0))
        axis.line.set_color(INK)
        axis.line.set_linewidth(0.6)
    axes.tick_params(labelsize=6.5, pad=-2.0, color=INK, labelcolor=INK)
    axes.locator_params(nbins=5, steps=[1, 2, 5, 10])
