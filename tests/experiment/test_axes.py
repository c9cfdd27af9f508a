"""One name for the axes of a scan, whatever their unit."""

import copy
import pickle

import pytest

import weakbeam as wb
from weakbeam.experiment.experiment import ExperimentKeys


def test_the_unit_of_the_keys_tells_the_axis():
    angle, height = wb.Axis(half_range_mrad=0.3, steps=61), wb.Axis(values_um=[-1, 0, 2])
    assert angle == wb.AngleAxis(half_range_mrad=0.3, steps=61)
    assert height == wb.HeightAxis(values_um=(-1, 0, 2))
    assert isinstance(angle, wb.Axis)
    assert isinstance(height, wb.Axis)
    scan = wb.Experiment().replace(scan={"phi": angle, "z": height}).scan
    assert scan.frames == 183
    assert scan == wb.Scan(phi=angle, z=height)


@pytest.mark.parametrize("axis", [wb.Axis(value_mrad=0.1), wb.Axis(half_range_um=1, steps=3)])
def test_copies_are_axes_of_the_same_unit(axis):
    for again in (copy.copy(axis), copy.deepcopy(axis), pickle.loads(pickle.dumps(axis))):
        assert again == axis
        assert type(again) is type(axis)
    assert wb.Axis.model_validate(axis) == axis


def test_mistakes_name_the_key():
    with pytest.raises(wb.InputError, match="stepz = 61: unknown key; did you mean steps"):
        wb.Axis(half_range_mrad=0.3, stepz=61)
    with pytest.raises(wb.InputError, match="value_mrad: missing"):
        wb.Axis()


def test_editors_know_every_table_of_an_experiment():
    assert set(ExperimentKeys.__annotations__) == set(wb.Experiment.model_fields)
