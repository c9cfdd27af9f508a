"""Callers know an engine by its contract alone, and it is chosen by a value."""

import inspect

import h5py
import numpy as np
import pytest

from weakbeam import Experiment, q_field, record, simulate
from weakbeam.imaging import engines
from weakbeam.imaging.contract import EngineBuilder, ImagingEngine
from weakbeam.imaging.direct import q_of_rays, shifted_images
from weakbeam.imaging.engine import Engine

SHAPE = (9, 12)
SMALL = [
    "camera.pixels=[9, 12]",
    "camera.depth_samples=11",
    "camera.oversampling=1",
    "defects=[{burgers=[1, 0, -1], line=[1, -2, 1]}]",
    "scan.phi.half_range_mrad=0.2",
    "scan.phi.steps=3",
    "scan.chi.half_range_mrad=0.5",
    "scan.chi.steps=2",
    "output.figures=false",
]


class PlainEngine:
    """The direct sum on the finest grid, with what the contract asks for and nothing else."""

    made = 0

    def __init__(
        self, field, geometry, rays, acceptance, workers=None, *,
        kernel=None, vignetting=0.0, smooth=None, tolerance=1.0, averaging=None, shifts=None,
    ):  # fmt: skip
        assert kernel is None
        assert averaging is None
        assert vignetting == 0.0
        PlainEngine.made += 1
        self._instrument = geometry, rays, acceptance
        self._grid, self._acceptance = rays[-1], acceptance
        self._q = q_of_rays(field, geometry, rays[-1])
        self.shape = rays[-1].rows, rays[-1].columns
        self.loosened, self.reached = 1.0, np.nan

    def with_field(self, field):
        return PlainEngine(field, *self._instrument)

    def held(self, fields):
        return self

    def images(self, rock_shifts, roll_shifts, progress=None):
        shifts = np.asarray(roll_shifts)[:, None] + np.asarray(rock_shifts)[None]
        frames = shifted_images(self._q, self._grid, self._acceptance, shifts.reshape(-1, 3))
        if progress is not None:
            progress(len(frames))
        return frames.reshape(*shifts.shape[:2], *self.shape).astype(np.float32)

    def batches(self, rock_shifts, roll_shifts, wanted=None, progress=None):
        for i in range(len(rock_shifts)):
            rock, roll = slice(i, i + 1), slice(0, len(roll_shifts))
            if wanted is None or wanted(rock, roll):
                yield rock, roll, self.images(rock_shifts[rock], roll_shifts, progress)

    def moments(self, rock_shifts, roll_shifts, rock_powers, roll_powers, progress=None):
        frames = self.images(rock_shifts, roll_shifts, progress)
        return np.einsum("kn,km,mnrc->krc", rock_powers, roll_powers, frames)

    def mean_q(self):
        dark = np.isnan(self._q).any(axis=-1)
        weights = np.where(dark, 0.0, self._grid.sample_weights)
        mean = np.einsum("ps,psk->kp", weights, np.nan_to_num(self._q)) / weights.sum(axis=1)
        return mean.reshape(3, *self.shape), int(dark.sum())


def assert_close(array, expected):
    np.testing.assert_allclose(array, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


def parameters(function):
    return {p.name: p.default for p in inspect.signature(function).parameters.values()}


@pytest.mark.parametrize("engine", [Engine, PlainEngine])
def test_engines_offer_what_the_contract_names(engine):
    promised = {name for name in vars(ImagingEngine) if not name.startswith("_")}
    assert promised <= set(dir(engine)) | {"shape", "loosened", "reached"}
    for name in promised - {"shape", "loosened", "reached"}:
        assert parameters(getattr(engine, name)) == parameters(getattr(ImagingEngine, name))
    assert parameters(engine.__init__) == parameters(EngineBuilder.__call__)


def test_another_engine_carries_a_whole_run(monkeypatch, tmp_path):
    """Frames, mean q and, for the maps of a recorded run, moments."""
    experiment = Experiment().with_settings(SMALL)

    def results(folder):
        record(experiment, folder)
        with h5py.File(folder / "weakbeam.h5") as file:
            maps = {name: group[name][()] for name, group in file["1.1/maps"].items()}
        return [simulate(experiment).images.values, q_field(experiment).values], maps

    expected, expected_maps = results(tmp_path / "usual")
    made = PlainEngine.made
    monkeypatch.setitem(engines.ENGINES, engines.CPU, PlainEngine)
    arrays, maps = results(tmp_path / "plain")
    assert PlainEngine.made >= made + 3
    assert len(maps) > 5
    for array, other in zip(arrays, expected, strict=True):
        assert_close(array, other)
    for name, values in maps.items():
        assert_close(values, expected_maps[name])


def test_an_unknown_machine_is_refused():
    with pytest.raises(ValueError, match=r"no engine 'abacus'; there is cpu"):
        engines.engine_builder("abacus")
