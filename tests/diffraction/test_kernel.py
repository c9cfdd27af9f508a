"""The tabulated acceptance on tables whose answers are known."""

import math

import numpy as np
import pytest
from instruments import symmetric_acceptance

from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.kernel import Kernel, conditions, differences
from weakbeam.diffraction.raytrace import RayOptics, trace
from weakbeam.instrument.stops import AbsorbingWire

THETA = math.radians(8.97317)


def linear_kernel():
    """Tabulate 1 + 2x - y + 3z, which trilinear interpolation must give back."""
    edges = np.linspace(-1, 1, 11), np.linspace(0, 4, 9), np.linspace(-3, 3, 13)
    x, y, z = ((e[1:] + e[:-1]) / 2 for e in edges)
    table = 1 + 2 * x[:, None, None] - y[:, None] + 3 * z
    return Kernel(edges, table.astype(np.float32), rays=1000, outside=0.0, throughput=1.0)


def gaussian_kernel(covariance):
    """Tabulate a Gaussian of the given covariance."""
    reach = 7 * np.sqrt(np.diag(covariance))
    edges = tuple(np.linspace(-r, r, n + 1) for r, n in zip(reach, (81, 71, 61), strict=True))
    grid = np.stack(np.meshgrid(*((e[1:] + e[:-1]) / 2 for e in edges), indexing="ij"), axis=-1)
    exponent = np.einsum("...i,ij,...j", grid, np.linalg.inv(covariance), grid)
    scale = math.sqrt((2 * math.pi) ** 3 * np.linalg.det(covariance))
    table = np.exp(-0.5 * exponent) / scale
    return Kernel(edges, table.astype(np.float32), rays=1000, outside=0.0, throughput=1.0)


def acceptance(**changes):
    """Build the default instrument."""
    widths = {
        "theta": THETA,
        "bandwidth": 6.0e-5,
        "divergence_vertical": 2.25e-4,
        "clip": 140e-6,
        "divergence_horizontal": 0.0,
        "lens": 3.1106e-4,
        "aperture": 1.0323e-3,
    }
    return symmetric_acceptance(**(widths | changes))


def test_interpolation_is_exact_for_a_linear_density():
    kernel = linear_kernel()
    low = [c[0] for c in kernel.centers]
    high = [c[-1] for c in kernel.centers]
    q = np.random.default_rng(0).uniform(low, high, (50, 20, 3))
    expected = 1 + 2 * q[..., 0] - q[..., 1] + 3 * q[..., 2]
    np.testing.assert_allclose(kernel.density(q), expected, atol=2e-6)


def test_density_at_the_border():
    kernel = linear_kernel()
    middle = np.array([0.1, 1.75, 0.25])
    for axis in range(3):
        for end in (0, -1):
            at_center, at_edge, beyond = middle.copy(), middle.copy(), middle.copy()
            at_center[axis] = kernel.centers[axis][end]
            at_edge[axis] = kernel.edges[axis][end]
            beyond[axis] = kernel.edges[axis][end] + (1e-9 if end else -1e-9)
            assert kernel.density(at_edge) == pytest.approx(kernel.density(at_center))
            assert kernel.density(beyond) == 0.0
    assert (kernel.density([[np.nan, 0, 0], [np.inf, 0, 0], [0, 1, -np.inf]]) == 0.0).all()
    assert kernel.density(middle).shape == ()


def test_moments_projections_and_peak_of_a_gaussian():
    root = np.array([[1.0, 0, 0], [0.3, 0.8, 0], [-0.5, 0.2, 1.5]])
    covariance = root @ root.T
    kernel = gaussian_kernel(covariance)
    # The table holds p at the centres, not its means: it is wider by nothing, and Sheppard's
    # correction for means is put back here.
    sampled = kernel.covariance() + np.diag(kernel.steps**2) / 12
    np.testing.assert_allclose(sampled, covariance, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(kernel.mean(), 0.0, atol=1e-6)
    for axis, centers in enumerate(kernel.centers):
        sigma = math.sqrt(covariance[axis, axis])
        normal = np.exp(-0.5 * (centers / sigma) ** 2) / (math.sqrt(2 * math.pi) * sigma)
        np.testing.assert_allclose(kernel.projection(axis), normal, atol=2e-6)
    plane = kernel.projection(0, 2)
    assert plane.shape == (81, 61)
    assert plane.sum() * kernel.steps[0] * kernel.steps[2] == pytest.approx(1.0, abs=1e-5)
    assert kernel.peak == pytest.approx(float(kernel.table.max()))


def test_traced_kernel_interpolates_to_the_closed_form():
    instrument = acceptance()
    kernel = trace(RayOptics(instrument), 10_000_000, (100, 36, 40))
    q = np.random.default_rng(1).multivariate_normal(np.zeros(3), instrument.covariance() / 9, 2000)
    ratio = kernel.density(q) / instrument.density(q)
    # Averages over voxels of a fifth of the widths lie up to 1 % below a maximum.
    assert ratio.mean() == pytest.approx(1.0, abs=0.015)
    assert ratio.std() < 0.08
    assert kernel.peak == pytest.approx(instrument.peak, rel=0.05)


def test_belonging():
    geometry, hkl = symmetric_geometry(THETA), (-1, 1, -1)
    wired = acceptance(stops=(AbsorbingWire(1e-4),))
    ours = conditions(wired, geometry, hkl, 17.0)
    assert ours["objective.stop"][0]["kind"] == "Wire"
    assert differences(ours, conditions(wired, geometry, hkl, 17.0)) == []
    other = acceptance(
        bandwidth=1e-4, clip=math.inf, stops=(AbsorbingWire(2e-4),), spectrum=((1.0, 0.0, 1e-4),)
    )
    told = differences(ours, conditions(other, geometry, (1, 1, 1), 17.5))
    assert [line.split(" is ")[0] for line in told] == [
        "beam.bandwidth_rms",
        "beam.divergence_vertical_clip_mrad",
        "beam.energy_keV",
        "beam.spectrum",
        "objective.stop",
        "reflection.hkl",
    ]
    assert told[2] == "beam.energy_keV is 17 in the kernel, 17.5 here"
    assert differences({}, {"beam.energy_keV": 17.0}) == [
        "beam.energy_keV is absent in the kernel, 17 here"
    ]
    # The last digit, as after a change of units, is no difference.
    near = acceptance(lens=3.1106e-4 * (1 + 1e-15), stops=wired.optics.stops)
    assert differences(ours, conditions(near, geometry, hkl, 17.0)) == []


def test_grids_that_do_not_fit_are_refused():
    good = np.linspace(0, 1, 4)
    table = np.ones((3, 3, 3), np.float32)
    with pytest.raises(ValueError, match="does not fit"):
        Kernel((good, good, good[:-1]), table, 1, 0.0, 1.0)
    for bad in (good[::-1], good**2):
        with pytest.raises(ValueError, match="edges along roll"):
            Kernel((good, bad, good), table, 1, 0.0, 1.0)
