"""Scans whose rows run back and forth: the order of the frames, and nothing else."""

import h5py
import numpy as np
import pytest

from weakbeam import simulate
from weakbeam.experiment import Experiment
from weakbeam.imaging import engine
from weakbeam.io.foreign import read_scan
from weakbeam.io.reading import read_entry, read_frames
from weakbeam.measured.maps import map_scan
from weakbeam.run.record import record

PLAIN = Experiment().with_settings(
    [
        "camera.pixels=[9, 12]",
        "camera.pixel_nm=300",
        "camera.depth_samples=9",
        "scan.chi.values_mrad=[-1, -0.2, 0.4]",
        "scan.phi.half_range_mrad=0.3",
        "scan.phi.steps=5",
        "output.figures=false",
    ]
)
ZIGZAG = PLAIN.with_settings(["scan.order=zigzag"])
ORDER = [0, 1, 2, 3, 4, 9, 8, 7, 6, 5, 10, 11, 12, 13, 14]


@pytest.mark.parametrize("method", ["closed-form", "ray-trace"])
def test_frames_are_written_in_the_order_they_are_taken(tmp_path, method):
    settings = [f"acceptance.method={method}", "output.perfect_crystal=true"]
    if method == "ray-trace":
        settings += ["acceptance.rays=20000", "acceptance.bins=[9, 9, 9]"]
    plain = record(PLAIN.with_settings(settings), tmp_path / "plain").file
    zigzag = record(ZIGZAG.with_settings(settings), tmp_path / "zigzag").file
    for name in ("1.1", "2.1"):
        before, after = read_entry(plain, name), read_entry(zigzag, name)
        assert after.title == before.title
        frames = read_frames(zigzag, name)
        np.testing.assert_array_equal(frames, read_frames(plain, name)[ORDER])
        for motor, positions in before.moving.items():
            np.testing.assert_array_equal(after.moving[motor], positions[ORDER])
        for kind, found in before.maps.items():
            np.testing.assert_allclose(after.maps[kind].values, found.values, rtol=1e-9)
    with h5py.File(plain) as one, h5py.File(zigzag) as other:
        for path in ("scan_map/intensity", "scan_map/phi", "scan_map/chi"):
            np.testing.assert_array_equal(other[f"1.1/{path}"][()], one[f"1.1/{path}"][()])


def test_images_in_memory_lie_on_the_grid(tmp_path):
    run = simulate(ZIGZAG)
    np.testing.assert_array_equal(run.images.values, simulate(PLAIN).images.values)
    run.save(tmp_path / "run")
    stored = read_frames(tmp_path / "run" / "weakbeam.h5")
    np.testing.assert_array_equal(stored, run.images.values.reshape(15, 9, 12)[ORDER])


def test_maps_find_the_zigzag(tmp_path):
    mapped = map_scan(read_scan(record(ZIGZAG, tmp_path / "zigzag").file))
    plain = map_scan(read_scan(record(PLAIN, tmp_path / "plain").file))
    assert mapped.grid.kind == "zigzag"
    for motor, maps in plain.maps.motors.items():
        for kind, values in maps.items():
            # Curves are summed in single precision, here in another order.
            found = mapped.maps.motors[motor][kind]
            np.testing.assert_allclose(found, values, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("camera", ["ideal", "pco_edge"])
def test_a_resumed_zigzag_equals_a_whole_one(tmp_path, monkeypatch, camera):
    monkeypatch.setattr(engine, "BATCH_BYTES", 3 * 9 * 12 * 4)
    experiment = ZIGZAG.with_settings([f"camera.model={camera}"])
    whole = record(experiment, tmp_path / "whole")
    told = []

    def stop(done):
        told.append(done)
        if len(told) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        record(experiment, tmp_path / "part", progress=stop)
    part = record(experiment, tmp_path / "part", resume=True)
    np.testing.assert_array_equal(read_frames(part.file), read_frames(whole.file))
    for name, found in read_entry(whole.file).maps.items():
        np.testing.assert_array_equal(read_entry(part.file).maps[name].values, found.values)
