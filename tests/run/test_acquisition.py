"""A reflection with one of its scans, and the engines that its frames come from."""

from __future__ import annotations

import dataclasses
import math
import typing

import numpy as np
import pytest
from pydantic import BaseModel

from weakbeam import record, simulate
from weakbeam.assemble import Setup, assemble, assemble_all
from weakbeam.assemble.defects import Defects
from weakbeam.diffraction import raytrace
from weakbeam.experiment import Experiment
from weakbeam.io.entry import motor_unit
from weakbeam.run.acquisition import acquisitions_of
from weakbeam.run.engines import Engines
from weakbeam.run.entries import described_entries, entry_plans

SMALL = Experiment().with_settings(
    ["camera.pixels=[6, 8]", "camera.depth_samples=5", "output.figures=false"]
)
STRAIN = ["scan.strain.half_range_mrad=1", "scan.strain.steps=3", "scan.chi.values_mrad=[0, 2]"]
TRACED = ["acceptance.method=ray-trace", "acceptance.rays=20000", "acceptance.bins=[20, 20, 20]"]
TWO_LAYERS_OF_THREE_MOTORS = SMALL.with_settings(
    [
        "scan.phi.values_mrad=[0, 0.1]",
        "scan.chi.values_mrad=[0, 1]",
        "scan.two_theta.values_mrad=[0, 0.3]",
        "scan.z.values_um=[0, 0.5]",
    ]
)


@pytest.fixture
def fields(monkeypatch):
    """The arguments of every field that has been made."""
    made, real = [], Defects.field

    def counted(self, *arguments):
        made.append(arguments)
        return real(self, *arguments)

    monkeypatch.setattr(Defects, "field", counted)
    return made


def test_a_setup_holds_no_description_and_nothing_that_changes():
    setup = assemble(SMALL)
    assert not any(isinstance(value, BaseModel) for value in vars(setup).values())
    before = dict(vars(setup))
    for name in (name for name in dir(Setup) if isinstance(getattr(Setup, name), property)):
        getattr(setup, name)
    setup.engine().mean_q()
    assert vars(setup) == before
    assert set(before) == {field.name for field in dataclasses.fields(Setup)}
    hints = typing.get_type_hints(Setup)
    assert not any(
        isinstance(hint, type) and issubclass(hint, BaseModel) for hint in hints.values()
    )


def test_positions_of_frames_in_the_units_of_the_file():
    (acquisition,) = acquisitions_of([assemble(SMALL.with_settings(STRAIN))])
    assert acquisition.moving_angles == ["two_theta", "chi"]
    assert acquisition.turning_motors == ["chi"]
    assert acquisition.first_height == 0
    offsets = np.array([[-a / 2, chi, a] for a in (-1e-3, 0, 1e-3) for chi in (0, 2e-3)])
    np.testing.assert_allclose(acquisition.angle_offsets, offsets, atol=1e-18)
    geometry = acquisition.setup.geometry
    np.testing.assert_allclose(acquisition.q_shifts, offsets @ geometry.motor_vectors, atol=1e-6)
    arm = acquisition.stored_positions("two_theta")
    np.testing.assert_allclose(arm, np.degrees(2 * geometry.theta + offsets[:, 2]), rtol=1e-14)
    np.testing.assert_allclose(acquisition.stored_axis("chi"), [0, math.degrees(2e-3)], rtol=1e-14)
    assert set(acquisition.curve_positions) == {"two_theta", "chi"}


def test_scans_of_all_reflections_follow_each_other():
    setups = [assemble(TWO_LAYERS_OF_THREE_MOTORS), assemble(SMALL)]
    acquisitions = acquisitions_of(setups)
    assert [a.setup for a in acquisitions] == [setups[0]] * 4 + [setups[1]]
    assert [a.first_height for a in acquisitions] == [0, 0, 0.5, 0.5, 0]


def test_scans_at_one_height_share_an_engine(fields, tmp_path):
    simulate(TWO_LAYERS_OF_THREE_MOTORS, 1)
    assert len(fields) == 2
    fields.clear()
    record(TWO_LAYERS_OF_THREE_MOTORS, tmp_path, workers=1)
    assert len(fields) == 2


def test_engines_keep_the_last_one_only(fields):
    first, second = assemble(SMALL), assemble(SMALL)
    engines = Engines(1)
    engine = engines.at(first, 0.0)
    assert engines.of(first)(0.0) is engine
    for other in ((first, 1.0), (second, 0.0), (first, 0.0, True)):
        assert engines.at(*other) is not engine
        assert engines.at(*other) is engines.at(*other)
    assert engines.at(first, 0.0) is not engine
    # The perfect crystal has none.
    assert len(fields) == 4


def test_rays_are_traced_once_a_reflection_and_not_before_images_are_made(monkeypatch):
    traced, real = [], raytrace.trace

    def counted(*arguments, **options):
        traced.append(arguments)
        return real(*arguments, **options)

    monkeypatch.setattr(raytrace, "trace", counted)
    experiment = TWO_LAYERS_OF_THREE_MOTORS.with_settings(TRACED)
    (setup,) = assemble_all(experiment)
    assert setup.kernel is None
    assert not setup.factorises
    assert traced == []
    simulate(experiment, 1)
    assert len(traced) == 1
    kernel = setup.traced().kernel
    assert kernel is not None
    assert not setup.traced().factorises
    assert setup.traced().traced().kernel is not None
    assert len(traced) == 4


def test_the_plan_of_a_file_has_twins_and_companions_after_its_scans():
    counted = ["camera.model=pco_edge", "camera.dark_frames=2", "camera.flat_frames=3"]
    experiment = TWO_LAYERS_OF_THREE_MOTORS.with_settings([*counted, "output.perfect_crystal=true"])
    plans = entry_plans(experiment, [assemble(experiment)])
    assert [plan.index for plan in plans] == list(range(10))
    assert [plan.frames for plan in plans] == [4] * 8 + [2, 3]
    assert [plan.perfect for plan in plans] == [False] * 4 + [True] * 4 + [False] * 2
    assert [plan.companion for plan in plans] == [None] * 8 + ["dark", "flat"]
    assert [plan.shows_its_reflection for plan in plans] == [True] + [False] * 9
    entries = described_entries(experiment, plans)
    assert [entry.frames for entry in entries] == [plan.frames for plan in plans]
    assert all(entry.defects == "1.1" for entry in entries[1:])
    for name, (_, unit) in entries[0].fixed.items():
        assert unit in (motor_unit(name), "deg", "mm")
