"""The figures of the instrument: its acceptance, and a kernel that was traced for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from weakbeam.assemble import Setup, assemble
from weakbeam.core.arrays import Floats
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.kernel import Kernel, differences
from weakbeam.diffraction.turned import perfect_q
from weakbeam.errors import InputError
from weakbeam.experiment import Acceptance
from weakbeam.plot.drawing import Drawing
from weakbeam.run.stored import stored_experiment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

RAYS = 50_000
"""Points of the cloud of rays."""

_REACH = 4.0
"""Half width of the panels of the acceptance, in its standard deviations."""

_REACH_BEHIND_STOP = 3.3
"""Half width of the panels where there is a stop, in standard deviations of the open instrument."""


def acceptance_drawing(setup: Setup, setting: Floats) -> Drawing:
    """Describe the acceptance in its three projections, with the perfect crystal at `setting`.

    With a stop in the experiment, the contours of the open instrument are drawn over them.

    Parameters
    ----------
    setup : Setup
        The assembled experiment.
    setting : (3,) ndarray
        φ, χ, 2θ offset (rad).

    Returns
    -------
    Drawing
    """
    ours, stopped = setup.acceptance, bool(setup.optics.stops)
    shown = ours.open if stopped else ours
    reach = (_REACH_BEHIND_STOP if stopped else _REACH) * np.sqrt(np.diag(shown.covariance()))
    # A stop leaves narrow features on the wide axes.
    points = 301 if stopped else 161
    rock, roll, two_theta = (np.linspace(-r, r, points) for r in reach)
    projections = ours.projections(rock, roll, two_theta)
    return Drawing(
        "weakbeam.plot.acceptance.acceptance_figure",
        (rock, roll, two_theta, *projections),
        {
            "perfect_crystal": perfect_q(setup.geometry, setting),
            "without_stop": ours.open.projections(rock, roll, two_theta) if stopped else None,
            "note": f"the stop passes {_percent(setup.optics.throughput)}" if stopped else "",
        },
    )


def acceptance(setup: Setup, setting: Floats) -> Figure:
    """Draw what :func:`acceptance_drawing` describes."""
    return acceptance_drawing(setup, setting).figure()


def draw_kernel(path: Path) -> dict[str, Figure]:
    """Draw the figures of a kernel file.

    Parameters
    ----------
    path : Path
        The file, of ``weakbeam bootstrap``.

    Returns
    -------
    dict of str to Figure
        ``kernel`` and, if the experiment in the file still describes the kernel, ``rays``; the
        closed form is drawn in ``kernel`` then.

    Raises
    ------
    InputError
        If the file is no kernel, or damaged.
    """
    # Only kernels need rays, which bring scipy: not the way to the first image.
    from weakbeam.diffraction.raytrace import RayOptics, sample_rays
    from weakbeam.io.kernel_file import read_configuration, read_kernel
    from weakbeam.plot.rays import rays_figure

    kernel = read_kernel(path, "FILE")
    try:
        setup = _setup_of(read_configuration(path), str(path), kernel)
    except InputError:
        setup = None
    title = _title(kernel)
    if setup is None:
        return {"kernel": kernel_figure(kernel, title=title)}
    figures = {"kernel": kernel_figure(kernel, setup.acceptance, title=title)}
    exact = bool(kernel.tracing.get("exact", False))
    optics = RayOptics(setup.acceptance, setup.geometry, exact=exact)
    q = sample_rays(optics, RAYS, int(kernel.tracing.get("seed", 0)))
    figures["rays"] = rays_figure(q, title=title, note=f"{RAYS:,} rays that pass")
    return figures


def kernel_figure(
    kernel: Kernel, acceptance: AcceptanceDensity | None = None, *, title: str = ""
) -> Figure:
    """Draw slices and marginals of a kernel, against the closed form if it is given.

    Parameters
    ----------
    kernel : Kernel
        The tabulated acceptance.
    acceptance : AcceptanceDensity, optional
        That of the instrument that it was traced for.
    title : str
        A line above the panels.

    Returns
    -------
    Figure
    """
    from weakbeam.plot.kernel import kernel_figure as figure_of

    # The mean, as a stop to one side leaves nothing at q = 0.
    point, centers, steps = kernel.mean(), kernel.centers, kernel.steps
    planes = []
    for third in (2, 1, 0):
        axes = [point[k : k + 1] if k == third else centers[k] for k in range(3)]
        planes.append(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).squeeze(axis=third))
    expected_slices = expected_counts = None
    if acceptance is not None:
        expected_slices = [acceptance.density(q) for q in planes]
        expected_counts = [
            kernel.rays * bin_shares(partial(acceptance.marginal, k), edge, acceptance.jumps(k))
            for k, edge in enumerate(kernel.edges)
        ]
    return figure_of(
        kernel.edges,
        [kernel.density(q) for q in planes],
        [kernel.rays * steps[axis] * kernel.projection(axis) for axis in range(3)],
        expected_slices=expected_slices,
        expected_counts=expected_counts,
        title=title,
        note=_tracing(kernel),
    )


def bin_shares(density: Callable[[Floats], Floats], edges: Floats, breaks: Floats) -> Floats:
    """Integral of a density over bins.

    Parameters
    ----------
    density : callable
        From coordinates (n,) to densities (n,).
    edges : (n + 1,) ndarray
        Edges of the bins, increasing.
    breaks : ndarray
        Where the density jumps; it is integrated piece by piece, each by Gauss and Legendre.

    Returns
    -------
    (n,) ndarray
    """
    inside = breaks[(breaks > edges[0]) & (breaks < edges[-1])]
    ends = np.unique(np.concatenate([edges, inside]))
    node, weight = np.polynomial.legendre.leggauss(4)
    middle, half = (ends[1:] + ends[:-1]) / 2.0, np.diff(ends) / 2.0
    points = middle[:, None] + half[:, None] * node
    pieces = half * (density(points.ravel()).reshape(points.shape) @ weight)
    return np.asarray(np.add.reduceat(pieces, np.searchsorted(ends, edges[:-1])))


def _setup_of(configuration: str, source: str, kernel: Kernel) -> Setup | None:
    """The instrument that a kernel was traced for; None if its experiment says otherwise."""
    experiment = stored_experiment(configuration, source)
    setup = assemble(experiment.model_copy(update={"acceptance": Acceptance()}))
    return None if differences(kernel.conditions, setup.conditions) else setup


def _title(kernel: Kernel) -> str:
    hkl = " ".join(str(index) for index in kernel.conditions.get("reflection.hkl", ()))
    parts = [f"({hkl})".replace("-", "−") if hkl else "kernel"]
    if "beam.energy_keV" in kernel.conditions:
        parts.append(f"at {kernel.conditions['beam.energy_keV']:g} keV")
    stops = [stop["kind"] for stop in kernel.conditions.get("objective.stop", ())]
    return ", ".join([" ".join(parts), *(_words(stop) for stop in stops)])


def _words(name: str) -> str:
    """The kind of a stop in words: SquareAperture, square aperture."""
    return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()


def _tracing(kernel: Kernel) -> str:
    drawn = float(kernel.tracing.get("rays", kernel.rays))
    kinematics = "exact" if kernel.tracing.get("exact") else "linear"
    return (
        f"{drawn / 1e6:.3g} million rays drawn, {kinematics} kinematics; "
        f"{_percent(kernel.throughput)} of the uncut beam and lens pass, "
        f"{round(kernel.outside * kernel.rays):,} rays outside the grid"
    )


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g} %"
