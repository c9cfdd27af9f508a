"""What is computed for the figures of the instrument."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from weakbeam.assemble import assemble
from weakbeam.diffraction.acceptance import SymmetricAcceptance
from weakbeam.diffraction.raytrace import RayOptics, trace
from weakbeam.experiment import Experiment
from weakbeam.instrument.optics import Optics
from weakbeam.instrument.stops import AbsorbingWire, CentralBlock, KnifeBlade
from weakbeam.run.acceptance_figures import acceptance, bin_shares, kernel_figure

THETA = math.radians(8.97317)


def optics(*stops):
    optics = Optics(6e-5, 2.25e-4, 140e-6, 0.0, 3.11e-4, 1.0323e-3, stops)
    return SymmetricAcceptance(THETA, optics)


def test_shares_of_bins_with_jumps_between_their_edges():
    # A wire that blocks all of ξ between these two angles leaves the two ends of a Gaussian.
    stopped = optics(AbsorbingWire(1e-4, 0.4e-4, axis="roll"))
    low, high = (edge / (2 * stopped.factors.sin) for edge in (-0.6e-4, 1.4e-4))
    edges = np.linspace(-3e-3, 3e-3, 38)
    shares = bin_shares(stopped.density_roll, edges, np.array([low, high]))
    cdf = np.where(
        (edges > low) & (edges < high), ndtr(low * 2 * stopped.factors.sin / 3.11e-4), np.nan
    )
    outside = np.isnan(cdf)
    blocked = np.diff(ndtr(np.array([low, high]) * 2 * stopped.factors.sin / 3.11e-4))[0]
    plain = ndtr(edges * 2 * stopped.factors.sin / 3.11e-4)
    cdf[outside] = plain[outside] - blocked * (edges[outside] >= high)
    inside = ndtr(1.0323e-3 / 3.11e-4) - ndtr(-1.0323e-3 / 3.11e-4) - blocked
    np.testing.assert_allclose(shares, np.diff(cdf) / inside, atol=1e-10)


@pytest.mark.parametrize(
    "stop",
    [CentralBlock(1e-4), KnifeBlade(1.5e-4), AbsorbingWire(1e-4, axis="roll", optical_depth=0.7)],
    ids=lambda stop: type(stop).__name__,
)
def test_marginals_of_a_traced_kernel_scatter_about_the_closed_form(stop):
    stopped = optics(stop)
    kernel = trace(RayOptics(stopped), 1_000_000, (50, 40, 40))
    figure = kernel_figure(kernel, stopped)
    said = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left")]
    assert len(said) == 3
    for text in said:
        chi_square, bins = float(text.split()[3]), int(text.split()[5])
        assert bins > 20
        assert abs(chi_square - 1) < 4.5 * math.sqrt(2 / bins)


def test_acceptance_shows_the_open_instrument_beside_a_stop():
    key = "objective.stop={kind='square_aperture', size_um=25}"
    for settings, lines in (([], 1), ([key], 2)):
        figure = acceptance(assemble(Experiment().with_settings(settings)), np.zeros(3))
        marginals = [axes for axes in figure.axes if not axes.images]
        # The mark of the perfect crystal comes on top.
        assert [len(axes.lines) for axes in marginals] == [lines + 1] * 3
        texts = [text.get_text() for text in figure.texts]
        assert ("the stop passes 1.45 %" in texts) == (lines == 2)
