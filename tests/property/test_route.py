"""Any valid experiment goes through the whole route, or is refused for a reason of physics."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import descriptions, experiments

from weakbeam import simulate
from weakbeam.assemble import assemble_all
from weakbeam.errors import InputError
from weakbeam.io.reading import entry_names, read_entry, read_frames
from weakbeam.run.estimate import check_memory, check_resources
from weakbeam.run.record import record

PHYSICS = ("reflection", "crystal.x_axis", "crystal.mount", "defects")
"""Where an experiment of a known crystal may contradict physics."""


def refused(experiment, *steps):
    """The mistake that ends the steps; None if there is none."""
    try:
        for step in steps:
            step(experiment)
    except InputError as error:
        return error
    return None


@settings(deadline=None, max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(experiments())
def test_images_are_finite_and_the_file_holds_them(experiment):
    check_route(experiment)


@pytest.mark.slow
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(experiments())
def test_images_of_many_experiments_are_finite_and_their_files_hold_them(experiment):
    check_route(experiment)


def check_route(experiment):
    if (refusal := refused(experiment, assemble_all)) is not None:
        assert refusal.key.startswith(PHYSICS), refusal
        return
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images = simulate(experiment, workers=1).images.values
        assert np.isfinite(images).all()
        assert (images >= 0).all()
        if experiment.camera.model == "ideal" and experiment.beam.spectrum is None:
            # The acceptance of one symmetric line is highest where the perfect crystal stands.
            assert images.max() <= 1.0 + 1e-5
        with tempfile.TemporaryDirectory() as folder:
            result = record(experiment, folder, workers=1)
            check_file(result.file, experiment, images)
            written = Path(folder, "experiment.toml").read_text(encoding="utf-8")
    assert type(experiment).from_toml_text(written) == experiment


def check_file(path, experiment, images):
    frames = images.reshape(-1, *images.shape[-2:])
    names = entry_names(path)
    twins = 2 if experiment.output.perfect_crystal else 1
    start = 0
    for name in names[: len(names) // twins]:
        entry, stored = read_entry(path, name), read_frames(path, name)
        here = frames[start : start + len(stored)]
        np.testing.assert_array_equal(stored, here)
        np.testing.assert_allclose(entry.image_sum, here.sum(axis=0, dtype=float), rtol=1e-12)
        np.testing.assert_allclose(entry.intensity, here.sum(axis=(1, 2), dtype=float), rtol=1e-12)
        check_maps(entry, here)
        start += len(stored)
    assert start == len(frames)


def check_maps(entry, frames):
    dark = ~frames.any(axis=0)
    for name, found in entry.maps.items():
        assert not np.isinf(found.values).any(), name
        assert np.isnan(found.values[dark]).all(), name
        motor, _, kind = name.rpartition("_")
        if kind == "com" and frames.dtype == np.float32:
            # A mean of the positions lies between them.
            values = found.values[np.isfinite(found.values)]
            reach = np.ptp(entry.moving[motor])
            slack = 1e-6 * reach + 1e-9
            assert (values >= entry.moving[motor].min() - slack).all(), name
            assert (values <= entry.moving[motor].max() + slack).all(), name


@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(descriptions())
def test_any_description_is_assembled_or_refused_in_one_line(experiment):
    refusal = refused(
        experiment, check_memory, lambda e: check_resources(e, Path("nowhere")), assemble_all
    )
    if refusal is not None:
        assert len(str(refusal).splitlines()) == 1
        assert refusal.key
