"""A mosaicity scan of a world that shares no code with the package, from its file to its lines."""

import numpy as np
import pytest
from measured_world import ideal_stack
from mosaic_worlds import mosaic_intensities, write_mosaic
from stack_worlds import drawn
from test_stack_blind import errors_of

from weakbeam.identify.fit_scan import fit_scan

PHI, CHI = np.linspace(-3e-4, 3e-4, 15), np.linspace(-1.2e-3, 1.2e-3, 36)


@pytest.mark.slow
def test_frames_by_factors_are_those_ray_by_ray():
    world, _, _ = drawn(77, (16, 20), 0.1, count=2)
    chi, phi = (one.ravel() for one in np.meshgrid(CHI[::17], PHI[::5], indexing="ij"))
    expected = ideal_stack(world, np.stack([phi, chi, 0 * phi], axis=1))
    frames = mosaic_intensities(world, PHI[::5], CHI[::17]).reshape(expected.shape)
    # Pixels that are far from lines have fewer points: up to 1.3 counts of 2,000.
    assert np.abs(frames - expected).max() < 1e-3


@pytest.mark.slow
def test_lines_are_found_in_frames_that_are_put_together(tmp_path):
    world, experiment, lines = drawn(5, (40, 48), 0.1, count=2, apart_um=1.5)
    write_mosaic(tmp_path / "scan.h5", world, PHI, CHI, 1)
    result = fit_scan(tmp_path / "scan.h5", experiment)
    assert len(result.fit.data) < len(PHI) * len(CHI) / 3
    assert len(result.fit.data.taken) == len(PHI) * len(CHI)
    assert result.scan_tables is not None
    assert result.scan_tables["chi"]["steps"] == len(CHI)
    assert result.explained
    assert len(result.rows) == 2
    assert all(right for right, _, _ in errors_of(result, lines))
    assert all(np.linalg.norm(away) < 0.1 for _, away, _ in errors_of(result, lines))
    assert result.noise_outside_cores == pytest.approx(1.0, abs=0.1)
