"""Random populations: distributions against what was asked for, and the same from the same seed."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import kstest

from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.slip import line_of_character
from weakbeam.crystal.symmetry import centring_vectors
from weakbeam.defects.population import GlideSystem, draw_population, glide_systems
from weakbeam.defects.regions import Box, Gaussian, Slab
from weakbeam.instrument.goniometer import rotation_x, rotation_z

A = 4.0495
B = A / np.sqrt(2) * 1e-4
CELL = UnitCell.cubic(A)
FCC = glide_systems(CELL, centring_vectors("Fm-3m"), "fcc")
BOX = Box([-10, -11, -0.2], [10, 11, 0.2])
TURN = rotation_z(0.4) @ rotation_x(-1.1)


def draw(seed=1, region=BOX, systems=FCC, **options):
    if not {"count", "lines_per_area", "length_per_volume"} & set(options):
        options["count"] = 1000
    return draw_population(seed, region, systems, **options)


def test_glide_systems_carry_true_burgers_vectors_in_their_planes():
    assert len(FCC) == 12
    assert {s.label for s in FCC} >= {"(1 1 1)[1 0 -1]"}
    turned = glide_systems(CELL, centring_vectors("Fm-3m"), "fcc", sample_from_crystal=TURN)
    for one, other in zip(FCC, turned, strict=True):
        assert np.linalg.norm(one.burgers_vector) == pytest.approx(B)
        np.testing.assert_allclose(other.burgers_vector, TURN @ one.burgers_vector, atol=1e-12)
        np.testing.assert_allclose(other.normal, TURN @ one.normal, atol=1e-12)


def test_points_are_spread_evenly_over_a_box():
    positions = draw(count=5000).lines.positions
    for axis, half in enumerate((10, 11, 0.2)):
        assert kstest(positions[:, axis], "uniform", (-half, 2 * half)).pvalue > 1e-3
    assert np.abs(np.corrcoef(positions.T) - np.eye(3)).max() < 0.05


def test_points_are_spread_normally_over_a_gaussian():
    region = Gaussian(5.0, depth=2.0, centre=[1, 2, 3])
    positions = draw(region=region, count=5000).lines.positions - [1, 2, 3]
    for axis in (0, 1):
        assert kstest(positions[:, axis] / 5.0, "norm").pvalue > 1e-3
    assert kstest(positions[:, 2], "uniform", (-1, 2)).pvalue > 1e-3


def test_a_slab_stands_across_its_normal():
    normal, centre = TURN[:, 2], np.array([3.0, -1.0, 2.0])
    region = Slab(normal, width=8.0, depth=0.5, centre=centre)
    along = (draw(region=region, count=4000).lines.positions - centre) @ TURN
    assert np.abs(along[:, 2]).max() <= 0.25 + 1e-12
    assert kstest(along[:, 2], "uniform", (-0.25, 0.5)).pvalue > 1e-3
    assert 5.5 < np.linalg.norm(along[:, :2], axis=1).max() <= 4 * np.sqrt(2)


@pytest.mark.parametrize("psi", [0.0, 30.0, 90.0, 150.0])
def test_lines_have_the_character_in_the_plane_of_their_system(psi):
    population = draw(count=50, character_deg=psi)
    for line, system, sign in zip(
        population.lines, population.system, population.sign, strict=True
    ):
        label = FCC[system].label
        plane, direction = (
            [int(i) for i in part.strip("([])").split()] for part in label.split(")")
        )
        expected = line_of_character(CELL, direction, plane, psi)
        np.testing.assert_allclose(line.line, expected, atol=1e-12)
        np.testing.assert_allclose(line.burgers_vector, sign * FCC[system].burgers_vector)
        cosine = abs(line.line @ line.burgers_vector) / B
        assert cosine == pytest.approx(abs(np.sin(np.radians(psi))), abs=1e-12)


def test_characters_are_drawn_from_a_list_or_evenly():
    chosen = draw(count=3000, character_deg=[0.0, 60.0, 90.0]).character_deg
    values, counts = np.unique(chosen, return_counts=True)
    np.testing.assert_array_equal(values, [0.0, 60.0, 90.0])
    assert np.abs(counts - 1000).max() < 130
    assert kstest(draw(count=3000).character_deg, "uniform", (0, 180)).pvalue > 1e-3


def test_systems_are_drawn_by_weight():
    systems = [
        GlideSystem(s.burgers_vector, s.normal, weight)
        for s, weight in zip(FCC[:3], [1.0, 0.0, 3.0], strict=True)
    ]
    counts = np.bincount(draw(systems=systems, count=4000).system, minlength=3)
    assert counts[1] == 0
    assert abs(counts[2] - 3000) < 140


@pytest.mark.parametrize(("excess", "positive"), [(0.0, 50), (1.0, 101), (-1.0, 0), (0.2, 61)])
def test_signs_are_balanced_to_the_nearest_line(excess, positive):
    signs = draw(count=101, excess=excess).sign
    assert abs(np.count_nonzero(signs == 1) - positive) <= 1
    assert set(np.unique(signs)) <= {-1, 1}


def test_the_same_seed_draws_the_same_lines():
    one, other, third = draw(seed=3), draw(seed=3), draw(seed=4)
    for name in ("burgers_vectors", "lines", "positions"):
        np.testing.assert_array_equal(getattr(one.lines, name), getattr(other.lines, name))
    assert np.abs(one.lines.positions - third.lines.positions).max() > 0.1


@pytest.mark.parametrize("distance", [0.0, 0.4])
def test_points_do_not_depend_on_other_choices_or_on_the_count(distance):
    base = draw(count=500, minimum_distance=distance)
    other = draw(
        count=300, minimum_distance=distance, systems=FCC[:2], character_deg=0.0, excess=1.0
    )
    np.testing.assert_array_equal(other.lines.positions, base.lines.positions[:300])


@pytest.mark.parametrize("region", [BOX, Gaussian(6.0), Slab([0, 1, 1], 20.0, 3.0)])
def test_a_minimum_distance_is_kept(region):
    positions = draw(region=region, count=400, minimum_distance=0.3).lines.positions
    assert pdist(positions).min() >= 0.3


def test_a_minimum_distance_without_room_is_refused():
    with pytest.raises(ValueError, match=r"leaves room for about \d+ of 1000 lines only"):
        draw(minimum_distance=1.0)


def test_lines_per_area_count_points_of_the_face():
    assert len(draw(lines_per_area=2.5).lines) == round(2.5 * 20 * 22)
    assert len(draw(region=Slab([1, 0, 0], 10.0), lines_per_area=2.0).lines) == 200
    cloud = draw(region=Gaussian(5.0), lines_per_area=20.0).lines.positions
    inside = np.count_nonzero(np.linalg.norm(cloud, axis=1) < 1.0)
    assert inside / np.pi == pytest.approx(20.0, rel=0.3)


def test_the_length_per_volume_is_that_of_the_segments_inside():
    region = Box([0, 0, 0], [4, 5, 6])
    population = draw(region=region, length_per_volume=30.0)
    # Points of a fine grid along each line that lie inside, as an independent measure of length.
    steps = np.linspace(-12, 12, 4001)
    lines = population.lines
    points = lines.positions[:, None] + steps[:, None] * lines.lines[:, None]
    inside = np.all((points >= region.low) & (points <= region.high), axis=2)
    length = inside.sum() * (steps[1] - steps[0])
    assert length / 120.0 == pytest.approx(30.0, rel=2e-3)


def test_lengths_inside_a_turned_slab_are_those_along_its_normal():
    region = Slab(TURN[:, 2], width=1000.0, depth=0.5)
    edge = np.cross(TURN[:, 2], np.cross([1, 0, 0], TURN[:, 2]))
    edge /= np.linalg.norm(edge)
    lines = np.array([TURN[:, 2], (TURN[:, 2] + edge) / np.sqrt(2), edge])
    chords = region.chords(np.zeros((3, 3)), lines)
    np.testing.assert_allclose(chords, [0.5, 0.5 * np.sqrt(2), 1000.0], rtol=1e-9)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"count": 10, "lines_per_area": 1.0}, "exactly one"),
        ({"count": 0}, "not positive"),
        ({"lines_per_area": -1.0}, "not positive"),
        ({"count": 100_000_000}, r"1e\+08 dislocations are more than 1000000"),
        ({"length_per_volume": 1e9}, "more than 1000000"),
        ({"length_per_volume": 1.0, "region": Gaussian(1.0, 1.0)}, "no volume"),
        ({"length_per_volume": 1.0, "region": Slab([0, 0, 1], 1.0)}, "no volume"),
        ({"excess": 1.5}, "excess"),
        ({"minimum_distance": -1.0}, "minimum_distance"),
        ({"character_deg": []}, "character_deg"),
        ({"systems": []}, "at least one glide system"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(changed, said):
    with pytest.raises(ValueError, match=said) as caught:
        draw(**changed)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Box([0, 0, 0], [1, -1, 1]), "must lie above"),
        (lambda: Box([0, 0], [1, 1, 1]), "three finite"),
        (lambda: Slab([0, 0, 0], 1.0), "direction"),
        (lambda: Slab([0, 0, 1], 0.0), "width"),
        (lambda: Gaussian(-1.0), "sigma"),
        (lambda: Gaussian(1.0, depth=-1.0), "depth"),
        (lambda: GlideSystem([1, 0, 0], [1, 0, 1]), "in its plane"),
        (lambda: GlideSystem([1, 0, 0], [0, 0, 1], -1.0), "weight"),
    ],
)
def test_regions_and_systems_are_checked(make, said):
    with pytest.raises(ValueError, match=said):
        make()
