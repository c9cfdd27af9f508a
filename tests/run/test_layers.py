"""Scans through the depth of a population: layer by layer, each deformed once."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from weakbeam import center_of_mass, simulate
from weakbeam.assemble import assemble
from weakbeam.assemble.defects import Defects
from weakbeam.defects.field import evaluate
from weakbeam.experiment import Experiment, RandomDislocations
from weakbeam.io.reading import entry_names, read_entry
from weakbeam.run.record import record

LAYERS = Experiment(
    defects=(RandomDislocations(count=90, sigma_um=2.0, depth_um=3.0, seed=2),)
).with_settings(
    [
        "camera.pixels=[10, 14]",
        "camera.pixel_nm=200",
        "beam.height_fwhm_um=0.6",
        "scan.phi.value_mrad=0.12",
        "scan.z.values_um=[-1, 0, 1.5]",
        "output.figures=false",
        "camera.oversampling='point'",
    ]
)


def test_each_layer_is_the_image_at_that_height():
    whole = simulate(LAYERS)
    assert whole.images.dims == ("z", "x", "y")
    for image, z in zip(whole.images.values, (-1.0, 0.0, 1.5), strict=True):
        alone = simulate(LAYERS.with_settings([f"scan.z.value_um={z}"]))
        np.testing.assert_array_equal(image, alone.images.values)
    # The layers hold different parts of the population.
    assert np.abs(np.diff(whole.images.values, axis=0)).max() > 0.05


def test_the_deformation_of_a_layer_is_that_of_all_lines():
    setup = assemble(LAYERS)
    for z in (-1.0, 1.5):
        lower = setup.geometry.lab_from_sample.T @ np.array([0.0, 0.0, -z])
        points = setup.grids[0].points(np.arange(20)).reshape(-1, 3) + lower
        np.testing.assert_allclose(
            evaluate(setup.field_at(z), points),
            evaluate(setup.defects.field(), points),
            atol=1e-7,
        )


def test_a_scan_of_layers_makes_one_field_a_layer(tmp_path, monkeypatch):
    made = []
    real = Defects.field

    def counted(self, *args, **kwargs):
        made.append(args)
        return real(self, *args, **kwargs)

    monkeypatch.setattr(Defects, "field", counted)
    file = record(LAYERS, tmp_path, workers=1).file
    assert len(made) == 3
    stored = read_entry(file)
    assert stored.title.startswith("fscan diffrz -0.001 ")
    np.testing.assert_allclose(stored.moving["diffrz"], [-1e-3, 0.0, 1.5e-3])
    com = center_of_mass(simulate(LAYERS)).z
    np.testing.assert_allclose(1e3 * stored.maps["diffrz_com"].values, com, rtol=1e-5)


def test_layers_of_a_rocking_scan_are_entries_of_their_own(tmp_path):
    rocking = LAYERS.with_settings(["scan.phi.half_range_mrad=0.3", "scan.phi.steps=3"])
    file = record(rocking, tmp_path, workers=1).file
    assert entry_names(file) == ["1.1", "2.1", "3.1"]
    for name, z in zip(entry_names(file), (-1e-3, 0.0, 1.5e-3), strict=True):
        stored = read_entry(file, name)
        assert stored.fixed["diffrz"] == (pytest.approx(z), "mm")
        assert stored.title.startswith("fscan phi ")
    with h5py.File(file) as opened:
        first, last = (opened[f"{n}/sample/defects/position"][()] for n in ("1.1", "3.1"))
    np.testing.assert_array_equal(first, last)


def test_an_image_that_is_less_accurate_than_asked_for_says_so(tmp_path, monkeypatch):
    # Let an image of few pixels be none that may have more samples.
    monkeypatch.setattr("weakbeam.imaging.pixel_planning.SMALL_IMAGE", 1)
    monkeypatch.setattr("weakbeam.imaging.pixel_planning.MOST_SAMPLES", 12)
    monkeypatch.setattr("weakbeam.imaging.depth_planning.SMALL_IMAGE", 1)
    crowded = LAYERS.with_settings(
        ["defects[0].count=3000", "scan.z.value_um=0", "camera.oversampling=auto"]
    )
    file = record(crowded, tmp_path / "crowded")
    (note,) = (note for note in file.notes if "camera.accuracy = 0.005" in note)
    with h5py.File(file.file) as opened:
        stored = opened["1.1/sampling_error"]
        off = float(stored[()])
        assert stored.attrs["units"] == ""
    assert off > 0.0075
    assert f"off by {100 * off:.2g} %" in note
    points = crowded.with_settings(["camera.oversampling=point"])
    notes = record(points, tmp_path / "points").notes
    assert any("camera.depth_samples = 576" in note for note in notes), notes
    monkeypatch.undo()
    single = Experiment().with_settings(["output.figures=false", "camera.pixels=[20, 60]"])
    quiet = record(single, tmp_path / "single")
    assert not quiet.notes
    with h5py.File(quiet.file) as opened:
        assert 0.0 < opened["1.1/sampling_error"][()] < 0.0075
