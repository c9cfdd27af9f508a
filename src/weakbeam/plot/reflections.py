"""Which reflections can be reached: the beams on a screen, or |F| over 2θ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.transforms import Bbox

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.plot.style import COLORS, FAINT, add_axes, add_text, few_ticks, paper

_MARGIN = 1.0  # kept free around a label, in pixels
_MORE = "; +n: n more in the same place"
_LARGEST = 60.0  # area of the marker of the strongest reflection, in square points


def polar_figure(
    eta_deg: ArrayLike,
    two_theta_deg: ArrayLike,
    strength: ArrayLike | None,
    labels: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw diffracted beams by azimuth η and angle 2θ, as on a screen behind the sample.

    Parameters
    ----------
    eta_deg, two_theta_deg : (n,) array_like
        Azimuth and scattering angle of each beam (degrees). η = 0 is up, and positive η is to the
        right for an eye that looks along the incident beam.
    strength : (n,) array_like or None
        |F| of each beam, the area of its marker; None: all alike.
    labels : sequence of n str
        Name of each beam. Beams in one place share a marker and a label; a label that would cover
        another one, of a stronger beam, is left out.
    title : str
        Line above the figure.

    Raises
    ------
    ValueError
        If the numbers of angles, strengths and labels differ, or there are none.
    """
    eta, two_theta, weight = _columns(labels, eta_deg, two_theta_deg, strength)
    eta, two_theta, weight, names = _shared_places(eta, two_theta, weight, labels)
    with paper(140.0, 150.0) as figure:
        axes = figure.add_axes((0.09, 0.06, 0.82, 0.77), projection="polar")
        assert isinstance(axes, PolarAxes)
        axes.set_theta_zero_location("N")
        axes.set_theta_direction(-1)
        axes.set_rlim(0.0, 1.1 * two_theta.max())
        axes.set_rlabel_position(_widest_gap(eta))
        axes.yaxis.set_major_formatter("{x:g}°")
        axes.set_thetagrids(
            range(0, 360, 45), [f"{a if a <= 180 else a - 360}°" for a in range(0, 360, 45)]
        )
        axes.tick_params(labelsize=6.5, colors=FAINT)
        axes.grid(color="0.88", linewidth=0.5)
        axes.spines["polar"].set_visible(False)
        axes.scatter(
            np.radians(eta),
            two_theta,
            s=_LARGEST * weight,
            color=COLORS[0],
            alpha=0.75,
            linewidths=0.0,
            # A beam at the edge of the circle is drawn whole.
            clip_on=False,
            zorder=3,
        )
        figure.draw_without_rendering()
        numbers = [*axes.get_xticklabels(), *axes.get_yticklabels()]
        taken = [number.get_window_extent() for number in numbers]
        _write_labels(axes, np.radians(eta), two_theta, weight, names, taken=taken)
        add_text(figure, 6.0, 143.0, title, size=8.0)
        size = "" if strength is None else "; area of the dots: |F|"
        explanation = f"azimuth η, radius 2θ, seen along the incident beam{size}{_MORE}"
        add_text(figure, 6.0, 138.5, explanation, size=6.5, color=FAINT)
    return figure


def stick_figure(
    two_theta_deg: ArrayLike,
    strength: ArrayLike | None,
    labels: Sequence[str],
    *,
    title: str = "",
) -> Figure:
    """Draw |F| over 2θ, a stick per reflection.

    Parameters
    ----------
    two_theta_deg : (n,) array_like
        Scattering angles (degrees).
    strength : (n,) array_like or None
        |F| in electrons per unit cell; None: sticks of equal height without a scale.
    labels : sequence of n str
        Name of each reflection. Equal sticks share a label; one that would cover another, of a
        stronger reflection, is left out.
    title : str
        Line above the figure; what is refused is that of :func:`polar_figure`.
    """
    heights, two_theta, weight = _columns(labels, strength, two_theta_deg, strength)
    heights, two_theta, weight, names = _shared_places(heights, two_theta, weight, labels)
    with paper(140.0, 80.0) as figure:
        axes = add_axes(figure, 14.0, 12.0, 121.0, 54.0)
        axes.vlines(two_theta, 0.0, heights, color=COLORS[0], linewidth=1.2)
        axes.set_ylim(0.0, 1.35 * (heights.max() or 1.0))
        # Room beside the outermost sticks, also where there is only one.
        margin = 0.06 * two_theta.max()
        axes.set_xlim(max(two_theta.min() - margin, 0.0), two_theta.max() + margin)
        few_ticks(axes)
        axes.set_xlabel("2θ (deg)")
        axes.set_ylabel("|F| (electrons per unit cell)")
        if strength is None:
            axes.set_yticks([])
            axes.set_ylabel("|F| not known")
        axes.spines[["top", "right"]].set_visible(False)
        _write_labels(axes, two_theta, heights, weight, names, rotation=90.0)
        add_text(figure, 6.0, 73.0, title + _MORE, size=7.0)
    return figure


def _columns(
    labels: Sequence[str], first: ArrayLike | None, two_theta_deg: ArrayLike, strength: object
) -> tuple[Floats, Floats, Floats]:
    """Return the columns as arrays, and the strengths relative to the largest."""
    count = len(labels)
    if count == 0:
        raise ValueError("there are no reflections to draw")
    columns = [
        np.ones(count) if column is None else np.asarray(column, dtype=np.float64)
        for column in (first, two_theta_deg, strength)
    ]
    if any(column.shape != (count,) for column in columns):
        raise ValueError("angles, strengths and labels must be equally many")
    weight = columns[2] / max(columns[2].max(), np.finfo(float).tiny)
    return columns[0], columns[1], weight


def _shared_places(
    first: Floats, second: Floats, weight: Floats, labels: Sequence[str]
) -> tuple[Floats, Floats, Floats, list[str]]:
    """Join what would be drawn in one place; the label tells one name and how many more."""
    places: dict[tuple[float, float], list[int]] = {}
    rounded = np.stack([first, second], axis=-1).round(4).tolist()
    for index, (along, across) in enumerate(rounded):
        places.setdefault((along, across), []).append(index)
    # Rounded, so that among equals the first one gives the name.
    rank = weight.round(6).tolist()
    chosen = [max(indices, key=lambda i: rank[i]) for indices in places.values()]
    names = [
        labels[index] + (f" +{len(indices) - 1}" if len(indices) > 1 else "")
        for index, indices in zip(chosen, places.values(), strict=True)
    ]
    return first[chosen], second[chosen], weight[chosen], names


def _widest_gap(eta_deg: Floats) -> float:
    """Middle of the widest range of azimuths without a beam (degrees)."""
    azimuths = np.unique(np.mod(eta_deg, 360.0))
    gaps = np.diff(azimuths, append=azimuths[0] + 360.0)
    widest = int(np.argmax(gaps))
    return float(azimuths[widest] + gaps[widest] / 2.0) % 360.0


def _write_labels(
    axes: Axes,
    x: Floats,
    y: Floats,
    weight: Floats,
    names: Sequence[str],
    rotation: float = 0.0,
    taken: Iterable[Bbox] = (),
) -> None:
    """Write the names above their points, strongest first, where nothing is written yet."""
    written: list[Bbox] = list(taken)
    for index in np.argsort(-weight, kind="stable"):
        text = axes.annotate(
            names[index],
            (x[index], y[index]),
            xytext=(0.0, 4.5),
            textcoords="offset points",
            ha="center",
            va="bottom",
            size=5.5,
            rotation=rotation,
            annotation_clip=False,
        )
        box = text.get_window_extent().padded(_MARGIN)
        if _covers_none(box, written):
            written.append(box)
        else:
            text.remove()


def _covers_none(box: Bbox, others: Iterable[Bbox]) -> bool:
    return not any(box.overlaps(other) for other in others)
