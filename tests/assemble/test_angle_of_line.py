"""The angle between Burgers vector and line, against direct geometry and `character_deg`."""

from __future__ import annotations

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.defects.lines import StraightLine
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment, RandomDislocations, Wall
from weakbeam.run.defect_lines import defect_lines

CRYSTALS = {
    "fcc": ("Al", (-1, 1, -1), (1, 0, -1), (1, 1, 1), (1, 0, -1)),
    "bcc": ("Fe", (1, 1, 0), (1, -1, 0), (1, -1, 0), (1, 1, 1)),
    "hcp": ("Mg", (0, 0, 2), (1, 0, 0), (0, 1, -1, 1), (2, -1, -1, 0)),
}


def experiment(name, *defects):
    material, hkl, x_axis, _, _ = CRYSTALS[name]
    keys = {"material": material, "x_axis": x_axis}
    return Experiment(crystal=keys, reflection={"hkl": hkl}, defects=defects).with_settings(
        ["camera.pixels=[8, 8]"]
    )


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("angle", [0.0, 30.0, 60.0, 70.53, 90.0, 120.0, -60.0])
def test_it_is_the_arc_cosine_of_burgers_vector_and_line(name, angle):
    _, _, _, plane, burgers = CRYSTALS[name]
    setup = assemble(experiment(name, Dislocation(plane=plane, burgers=burgers, angle_deg=angle)))
    (placed,) = setup.dislocations
    b = placed.line.burgers_vector / np.linalg.norm(placed.line.burgers_vector)
    t = placed.line.line
    assert np.degrees(np.arccos(np.clip(b @ t, -1.0, 1.0))) == pytest.approx(abs(angle), abs=2e-6)
    # The sign: towards b × n.
    n = setup.sample_from_crystal @ setup.crystal.cell.plane_normal(placed.plane)
    assert n @ t == pytest.approx(0.0, abs=1e-12)
    assert np.cross(b, n / np.linalg.norm(n)) @ t == pytest.approx(
        np.sin(np.radians(angle)), abs=1e-12
    )


@pytest.mark.parametrize("angle", [0.0, 60.0, -35.0, 135.0])
def test_it_is_the_complement_of_the_character(angle):
    table = {"plane": (1, 1, 1), "burgers": (1, 0, -1)}
    lines = [
        assemble(experiment("fcc", Dislocation(**table, **key))).dislocations[0].line
        for key in ({"angle_deg": angle}, {"character_deg": 90.0 - angle})
    ]
    np.testing.assert_array_equal(lines[0].line, lines[1].line)


def test_walls_and_populations_take_it():
    wall = {"plane": (1, 1, 1), "burgers": (1, 0, -1), "spacing_um": 0.5}
    for table, key, values in (
        (Wall, wall, (60.0, 30.0)),
        (RandomDislocations, {"count": 30}, (60.0, 30.0)),
        (RandomDislocations, {"count": 30}, ((0.0, 60.0), (90.0, 30.0))),
    ):
        angle, character = (
            assemble(experiment("fcc", table(**key, **{name: value}))).defects.columns
            for name, value in zip(("angle_deg", "character_deg"), values, strict=True)
        )
        np.testing.assert_array_equal(angle["line"][0], character["line"][0])
        allowed = np.atleast_1d(values[0])
        assert np.abs(angle["angle"][0][:, None] - allowed).min(axis=1).max() < 1e-9


def test_only_one_of_the_three_is_given():
    keys = {"plane": (1, 1, 1), "burgers": (1, 0, -1)}
    with pytest.raises(InputError, match="give either angle_deg or character_deg"):
        Dislocation(**keys, angle_deg=60.0, character_deg=30.0)
    with pytest.raises(InputError, match="give either line or angle_deg"):
        Dislocation(**keys, line=(1.0, -2.0, 1.0), angle_deg=90.0)
    with pytest.raises(InputError, match="angle_deg is an angle in that plane"):
        Dislocation(burgers=(1, 0, -1), angle_deg=60.0)
    with pytest.raises(InputError, match="give either angle_deg or character_deg"):
        RandomDislocations(count=3, angle_deg=60.0, character_deg=30.0)
    turned = Dislocation(**keys, character_deg=30.0).replace(angle_deg=60.0)
    assert (turned.angle_deg, turned.character_deg) == (60.0, None)


@pytest.mark.parametrize("angle", [0.0, 1e-9, 60.0, 90.0])
def test_it_keeps_its_digits_at_both_ends(angle):
    radians = np.radians(angle)
    line = StraightLine([np.cos(radians), np.sin(radians), 0], [-1, 0, 0], [0, 0, 0])
    assert line.angle_deg == pytest.approx(angle, rel=1e-8, abs=1e-14)


def test_a_dry_run_says_it_of_every_table():
    sixty = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), angle_deg=-60.0)
    wall = Wall(plane=(1, 1, 1), burgers=(1, 0, -1), angle_deg=90.0, spacing_um=1.0)
    two = RandomDislocations(count=50, angle_deg=(0.0, 60.0))
    any_ = RandomDislocations(count=50)
    said = defect_lines(assemble(experiment("fcc", sixty, wall, two, any_)).defects)
    assert said[:3] == [
        "defects[0]  dislocation, b∧t = 60°",
        "defects[1]  wall, b∧t = 90°",
        "defects[2]  random, 50 lines, b∧t = 0° and 60°",
    ]
    assert said[3].startswith("defects[3]  random, 50 lines, b∧t from ")
    many = defect_lines(assemble(experiment("fcc", *[sixty] * 23)).defects)
    assert many[20:] == ["and 3 more tables of defects"]
    assert defect_lines(assemble(experiment("fcc")).defects) == []
