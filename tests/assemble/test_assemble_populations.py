"""Walls, populations and boundaries of the experiment file, as lines in the sample."""

import math

import numpy as np
import pytest

from weakbeam.assemble import assemble
from weakbeam.assemble.crystal import crystal_of
from weakbeam.assemble.defects import defects_of
from weakbeam.assemble.orientation import orientation_of
from weakbeam.assemble.placed import FieldOfView, Host
from weakbeam.assemble.populations import place_boundary, place_random, place_wall
from weakbeam.defects.field import evaluate
from weakbeam.defects.straight import StraightDislocations
from weakbeam.defects.wall import WallField
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment
from weakbeam.experiment.populations import Boundary, BoundarySet, RandomDislocations, Wall

EXPERIMENT = Experiment()
CRYSTAL = crystal_of(EXPERIMENT)
MOUNT = orientation_of(EXPERIMENT, CRYSTAL)
HOST = Host(EXPERIMENT, CRYSTAL, MOUNT, FieldOfView(np.array([0.0, 0.0, 1.0]), 20.0))
EDGE = {"plane": (1, 1, 1), "burgers": (1, 0, -1), "line": (1.0, -2.0, 1.0)}
B = 4.0495e-4 / math.sqrt(2)


def wall(**keys):
    table = Wall(**(EDGE | {"spacing_um": 0.5, "count": 11} | keys))
    (placed,) = place_wall(table, "defects[0]", HOST)
    return placed


def drawn(**keys):
    table = RandomDislocations(**({"count": 50, "seed": 3} | keys))
    (placed,) = place_random(table, "defects[0]", HOST)
    return placed


def boundary(**keys):
    placed, *_ = place_boundary(Boundary(**keys), "defects[0]", HOST)
    return placed


def unit_of(*uvw):
    return MOUNT @ np.array(uvw) / np.linalg.norm(uvw)


def test_a_tilt_wall_is_stacked_along_the_normal_of_its_slip_plane():
    (placed,) = wall(position_um=(1.0, 2.0, 3.0)).walls
    np.testing.assert_allclose(abs(placed.stacking @ unit_of(1, 1, 1)), 1.0)
    np.testing.assert_allclose(placed.dislocation.position, [1, 2, 3])
    assert placed.count == 11
    assert placed.dislocation.core_radius == pytest.approx(B)


def test_a_row_lies_in_its_slip_plane_across_the_lines():
    (placed,) = wall(stacking="row").walls
    np.testing.assert_allclose(placed.stacking @ unit_of(1, 1, 1), 0.0, atol=1e-12)
    np.testing.assert_allclose(placed.stacking @ unit_of(1, -2, 1), 0.0, atol=1e-12)


def test_a_stacking_direction_of_few_digits_is_taken_across_the_line():
    line = unit_of(1, -2, 1)
    across = np.cross(line, [0.3, 0.4, 0.5])
    written = tuple(round(float(x), 4) for x in across / np.linalg.norm(across))
    (placed,) = wall(stacking_direction=written).walls
    np.testing.assert_allclose(placed.stacking @ line, 0.0, atol=1e-12)
    with pytest.raises(InputError, match="perpendicular"):
        wall(stacking_direction=tuple(line))


def test_orders_of_a_wall():
    bipolar = wall(order="bipolar").walls
    assert sorted(part.count for part in bipolar) == [5, 6]
    np.testing.assert_allclose(
        bipolar[0].dislocation.burgers_vector, -bipolar[1].dislocation.burgers_vector
    )
    one, two = wall(order="dipole", dipole_offset_um=(0.1, 0.0, 0.0)).walls
    np.testing.assert_allclose(two.dislocation.position - one.dislocation.position, [0.1, 0, 0])
    screw = {"plane": None, "line": (1.0, 0.0, -1.0)}
    first, second = wall(order="twist", second_burgers=(1, 0, 1), **screw).walls
    np.testing.assert_allclose(second.dislocation.line, unit_of(1, 0, 1), atol=1e-12)
    np.testing.assert_allclose(abs(first.stacking @ unit_of(1, 0, 1)), 1.0)


def test_a_finite_wall_has_the_field_of_its_lines():
    for order in ({}, {"order": "bipolar"}):
        placed = wall(**order)
        points = np.random.default_rng(2).normal(size=(50, 3))
        lines = [line for part in placed.walls for line in part.lines()]
        np.testing.assert_allclose(
            evaluate(WallField(placed.walls, CRYSTAL.medium), points),
            evaluate(StraightDislocations(lines, CRYSTAL.medium), points),
            rtol=1e-9,
            atol=1e-12,
        )


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"line": (1.0, 0.0, 0.0)}, "leaves the plane"),
        ({"burgers": (1, 1, 0)}, "does not lie in the plane"),
        ({"order": "twist", "second_burgers": (1, 0, 1)}, "screws"),
        ({"order": "dipole"}, "missing"),
        ({"dipole_offset_um": (1.0, 0.0, 0.0)}, 'needs order = "dipole"'),
        ({"spacing_um": -1.0}, "spacing_um"),
    ],
)
def test_impossible_walls_say_why(keys, said):
    with pytest.raises(ValueError, match=said):
        wall(**keys)


def test_a_population_by_default_fills_the_illuminated_layer():
    placed = drawn(count=2000)
    assert np.ptp(placed.lines.positions[:, 2]) == 0.0
    np.testing.assert_allclose(placed.lines.positions[:, :2].std(axis=0), 5.0, rtol=0.08)
    np.testing.assert_allclose(np.linalg.norm(placed.lines.burgers_vectors, axis=1), B)
    np.testing.assert_allclose(placed.lines.core_radii, B)
    assert len(placed.labels) == 12
    assert set(placed.system) == set(range(12))
    assert 0.0 <= placed.lines.characters_deg.min() < placed.lines.characters_deg.max() <= 90.0


def test_regions_characters_weights_and_signs_of_a_population():
    box = drawn(region="box", size_um=(4.0, 6.0, 2.0), position_um=(0.0, 0.0, 1.0)).lines.positions
    assert np.all(np.abs(box - [0, 0, 1]) <= [2, 3, 1])
    slab = drawn(region="slab", width_um=5.0, depth_um=1.0, normal=(1.0, 0.0, 0.0))
    assert np.abs(slab.lines.positions[:, 0]).max() <= 0.5
    screws = drawn(character_deg=90.0)
    np.testing.assert_allclose(screws.lines.characters_deg, 90.0, atol=1e-4)
    first = drawn(weights=(1.0,) + (0.0,) * 11)
    assert set(first.system) == {0}
    one_sign = drawn(weights=(1.0,) + (0.0,) * 11, excess=1.0).lines.burgers_vectors
    np.testing.assert_allclose(one_sign, np.tile(one_sign[0], (50, 1)))


def test_densities_count_lines():
    by_area = drawn(count=None, lines_per_um2=0.5, region="slab", width_um=10.0)
    assert len(by_area.lines) == 50
    by_length = drawn(count=None, density_per_m2=1e12, region="box", size_um=(10.0, 10.0, 10.0))
    assert 50 < len(by_length.lines) < 400


def random_tables(*tables):
    experiment = EXPERIMENT.model_copy(update={"defects": tables})
    sources = defects_of(experiment, CRYSTAL, MOUNT, HOST.view).sources
    return [source.lines.positions for source in sources]


@pytest.mark.parametrize("region", [{}, {"region": "box", "size_um": (4.0, 5.0, 1.0)}])
def test_random_tables_of_one_seed_draw_different_places(region):
    table = RandomDislocations(count=40, **region)
    first, second, third = random_tables(table, table, RandomDislocations(count=40, **region))
    for one, other in ((first, second), (first, third), (second, third)):
        assert np.abs(one[:, None] - other[None]).max(axis=2).min() > 1e-6


def test_a_random_table_with_a_seed_of_its_own_draws_the_same_wherever_it_stands():
    own, other = RandomDislocations(count=40, seed=9), RandomDislocations(count=30)
    edge = Dislocation(**EDGE)
    alone, last = random_tables(own)[0], random_tables(other, edge, other, own)[-1]
    np.testing.assert_array_equal(alone, last)


def test_the_same_seed_draws_the_same_population():
    np.testing.assert_array_equal(drawn().lines.positions, drawn().lines.positions)
    assert not np.array_equal(drawn(seed=4).lines.positions, drawn().lines.positions)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"count": None}, "count: missing"),
        ({"lines_per_um2": 1.0}, "either count or lines_per_um2"),
        ({"size_um": (1.0, 1.0, 1.0)}, 'needs region = "box"'),
        ({"region": "box"}, "size_um: missing"),
        ({"count": None, "density_per_m2": 1e12}, 'needs region = "slab" or "box"'),
        ({"weights": (1.0,)}, "must be 12 numbers"),
        ({"weights": (0.0,) * 12}, "must not all be 0"),
        ({"slip_families": ("basal",)}, "none of the families of fcc"),
        ({"minimum_distance_um": 30.0}, "minimum_distance_um"),
        ({"count": 100_000_000}, "count"),
        ({"lines_per_um2": -1.0, "count": None}, "lines_per_um2"),
    ],
)
def test_impossible_populations_say_why(keys, said):
    with pytest.raises(ValueError, match=said):
        drawn(**keys)


@pytest.mark.parametrize(("name", "angle"), [("leds_eq11", 0.5), ("leds_eq14", 0.5)])
def test_boundaries_of_the_literature_turn_one_side_against_the_other(name, angle):
    placed = boundary(recipe=name, angle_deg=angle)
    solution = placed.solution
    field = WallField(placed.walls, CRYSTAL.medium)
    far = 60.0
    jump = evaluate(field, far * solution.normal) - evaluate(field, -far * solution.normal)
    for along in np.linalg.svd(solution.normal[None, :])[2][1:]:
        wanted = np.cross(solution.rotation, along)
        assert np.linalg.norm(jump @ along - wanted) < 0.01 * np.linalg.norm(solution.rotation)
    np.testing.assert_allclose(np.linalg.norm(solution.rotation), math.radians(angle), rtol=1e-4)


def test_a_boundary_of_own_sets():
    sets = (
        BoundarySet(burgers=(1, 0, -1), line=(1.0, 0.0, -1.0)),
        BoundarySet(burgers=(1, 0, 1), line=(1.0, 0.0, 1.0)),
    )
    own = {"normal": (0, 1, 0), "axis": (0.0, 1.0, 0.0), "sets": sets, "angle_deg": 0.2}
    placed = boundary(**own)
    # A square net of screws: spacing b / θ.
    for part in placed.walls:
        assert part.spacing == pytest.approx(B / math.radians(0.2), rel=1e-5)
        assert part.dislocation.edge_part < 1e-9
    finite = boundary(**own, extent_um=10.0)
    assert all(part.count == round(10.0 / part.spacing) for part in finite.walls)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"recipe": "leds_eq11", "angle_deg": 0.0}, "angle_deg"),
        ({"angle_deg": 1.0}, "normal: missing"),
        ({"recipe": "leds_eq11", "normal": (1, 1, 1), "angle_deg": 1.0}, "either recipe or normal"),
        (
            {
                "normal": (0, 1, 0),
                "axis": (1.0, 0.0, 0.0),
                "sets": (BoundarySet(burgers=(1, 0, -1), line=(1.0, 0.0, -1.0)),),
                "angle_deg": 1.0,
            },
            "best densities",
        ),
        (
            {
                "normal": (0, 1, 0),
                "axis": (0.0, 1.0, 0.0),
                "sets": (BoundarySet(burgers=(1, 0, -1), line=(1.0, 1.0, 1.0)),),
                "angle_deg": 1.0,
            },
            "leaves the boundary",
        ),
    ],
)
def test_impossible_boundaries_say_why(keys, said):
    with pytest.raises(ValueError, match=said):
        boundary(**keys)


def test_only_face_centred_crystals_have_the_default_dislocation():
    """Another crystal's Burgers vector is never aluminium's (docs/explanation/physics.md, D6)."""
    iron = ["crystal.material=Fe", "reflection.hkl=[1, 1, 0]", "crystal.x_axis=[1, -1, 0]"]
    with pytest.raises(InputError, match=r"plane = \[1, 1, 0\]"):
        assemble(Experiment().with_settings(iron))
    assert assemble(Experiment().with_settings([*iron, "defects=[]"])).dislocations == ()
    own = "{ kind = 'dislocation', plane = [1, 1, 0], burgers = [1, -1, 1], character_deg = 0 }"
    (placed,) = assemble(Experiment().with_settings([*iron, f"defects=[{own}]"])).dislocations
    assert placed.character_deg == pytest.approx(0.0, abs=1e-9)
    assert len(assemble(Experiment().with_settings(["crystal.material=Cu"])).dislocations) == 1


@pytest.mark.parametrize(("given", "expected"), [((), B), (("crystal.core_radius_nm=0.7",), 7e-4)])
def test_the_core_radius_of_the_crystal_is_that_of_every_kind(given, expected):
    defects = (
        Dislocation(**EDGE),
        Wall(**EDGE, spacing_um=0.5, count=3),
        RandomDislocations(count=4),
        Boundary(recipe="leds_eq11", angle_deg=0.5),
    )
    placed = assemble(Experiment(defects=defects).with_settings(given)).defects
    radii = [*placed.lines.core_radii, *(wall.dislocation.core_radius for wall in placed.walls)]
    assert radii == pytest.approx([expected] * (1 + 4 + 1 + 2))


def test_an_infinite_boundary_turns_its_sides_and_does_not_strain_them():
    """By 2 degrees: linear elasticity alone leaves a dilatation of θ²/8."""
    table = Boundary(recipe="leds_eq14", angle_deg=2.0)
    experiment = EXPERIMENT.model_copy(update={"defects": (table,)})
    defects = defects_of(experiment, CRYSTAL, MOUNT, HOST.view)
    normal = unit_of(1, 1, 1)
    gradients = evaluate(defects.field(), np.array([3.0, -3.0])[:, None] * normal)
    for gradient in gradients:
        deformation = np.eye(3) + gradient
        np.testing.assert_allclose(deformation.T @ deformation, np.eye(3), atol=1e-9)
    upper, lower = np.eye(3) + gradients
    turn = upper @ lower.T
    assert math.degrees(math.acos((np.trace(turn) - 1) / 2)) == pytest.approx(2.0, rel=1e-7)
    assert len(place_boundary(Boundary(recipe="leds_eq14", angle_deg=2.0, extent_um=50.0),
                              "defects[0]", HOST)) == 1  # fmt: skip
