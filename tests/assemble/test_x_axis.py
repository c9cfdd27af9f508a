"""The direction along x of the sample lies in the planes, or it is said that it does not."""

from __future__ import annotations

import numpy as np
import pytest

from weakbeam.assemble import assemble, assemble_all
from weakbeam.crystal.in_plane import nearest_in_plane, out_of_plane_deg
from weakbeam.crystal.lattice import UnitCell
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment

SMALL = Experiment(defects=()).with_settings(["camera.pixels=[8, 8]"])


def test_a_chosen_direction_that_leaves_the_planes_is_refused():
    tilted = SMALL.with_settings(["crystal.x_axis=[1, 0, 0]"])
    with pytest.raises(InputError) as raised:
        assemble(tilted)
    assert str(raised.value) == (
        "crystal.x_axis = [1, 0, 0]: leaves the planes [-1, 1, -1] by 35.3 deg; in them lie "
        "[2, 1, -1] (its projection) and [1, 0, -1] (30 deg from it)"
    )
    # What it names first mounts the crystal as the projection would have.
    named = assemble(SMALL.with_settings(["crystal.x_axis=[2, 1, -1]"]))
    assert named.notes == ()
    along = np.array([1.0, 0.0, 0.0]) - np.array([-1, 1, -1]) * -1 / 3
    np.testing.assert_allclose(
        named.sample_from_crystal[0], along / np.linalg.norm(along), atol=1e-15
    )


def test_that_of_a_reflection_is_named_by_its_key():
    with pytest.raises(InputError) as raised:
        assemble(SMALL.with_settings(["reflection.x_axis=[1, 0, 0]"]))
    assert raised.value.key == "reflection.x_axis"
    several = SMALL.replace(reflections=[{"hkl": (-1, 1, -1)}, {"hkl": (2, 0, 0)}])
    with pytest.raises(
        InputError, match=r"in them lie \[0, 1, 0\] .*: give reflections\[1\].x_axis$"
    ) as raised:
        assemble_all(several.with_settings(["crystal.x_axis=[1, 1, 0]"]))
    assert raised.value.key == "crystal.x_axis"


def test_the_default_is_projected_with_a_note():
    other = SMALL.with_settings(["reflection.hkl=[2, 0, 0]"])
    (note,) = assemble(other).notes
    assert "crystal.x_axis = [1, 0, -1] leaves the planes [2, 0, 0] by 45 deg" in note
    assert note.endswith("as crystal.x_axis = [0, 0, -1] says")
    assert assemble(SMALL).notes == ()
    # The file beside a result spells the default out, and runs again.
    again = Experiment.from_toml_text(other.to_toml())
    assert assemble(again).notes == (note,)
    stated = other.with_settings(["crystal.x_axis=[0, 0, -1]"])
    assert assemble(stated).notes == ()
    np.testing.assert_allclose(
        assemble(stated).sample_from_crystal, assemble(other).sample_from_crystal, atol=1e-15
    )


HEXAGONAL = UnitCell(3.2094, 3.2094, 5.2107, 90, 90, 120)
TRICLINIC = UnitCell(4.1, 5.3, 6.7, 83.0, 97.0, 108.0)


@pytest.mark.parametrize("cell", [HEXAGONAL, TRICLINIC])
def test_directions_in_a_plane_are_told_by_their_indices_alone(cell):
    assert out_of_plane_deg(cell, (1, 1, -2), (1, 1, 1)) == 0.0
    sine = np.sin(np.radians(out_of_plane_deg(cell, (1, 0, 1), (1, 2, 0))))
    direction, normal = cell.direction((1, 2, 0)), cell.plane_normal((1, 0, 1))
    assert sine == pytest.approx(
        direction @ normal / np.linalg.norm(direction) / np.linalg.norm(normal), rel=1e-12
    )


@pytest.mark.parametrize("cell", [HEXAGONAL, TRICLINIC])
@pytest.mark.parametrize("hkl", [(1, 0, 1), (0, 0, 2), (2, -1, 3), (97, 89, -83)])
def test_the_nearest_directions_lie_in_the_planes(cell, hkl):
    wanted = (1, 2, 4) if hkl != (97, 89, -83) else (1, 2, 3)
    found = nearest_in_plane(cell, hkl, wanted)
    normal, direction = cell.plane_normal(hkl), cell.direction(wanted)
    projection = direction - (direction @ normal) / (normal @ normal) * normal
    for uvw, angle in found:
        assert np.dot(uvw, hkl) == 0
        cosine = cell.direction(uvw) @ projection
        cosine /= np.linalg.norm(cell.direction(uvw)) * np.linalg.norm(projection)
        assert np.degrees(np.arccos(min(cosine, 1.0))) == pytest.approx(angle, abs=1e-5)
    assert [angle for _, angle in found] == sorted(angle for _, angle in found)


def test_the_projection_itself_is_found_where_it_is_a_lattice_direction():
    cubic = UnitCell(4.0, 4.0, 4.0, 90, 90, 90)
    (first, angle), *_ = nearest_in_plane(cubic, (1, 1, 2), (1, 0, 0))
    assert (first, round(angle, 9)) == ((5, -1, -2), 0.0)
