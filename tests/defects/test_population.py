"""Random populations: distributions against what was asked for, and the same from the same seed.

Kendall & Moran, Geometrical Probability (1963): lines are spread evenly if they are so over the
plane across each direction; then any cell holds as much of them as its volume, wherever it is.
"""

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


def length_within(lines, low, high):
    """Lengths of lines in a box along the axes, plane by plane."""
    start, end = np.full(len(lines), -np.inf), np.full(len(lines), np.inf)
    for axis in range(3):
        x, slope = lines.positions[:, axis], lines.lines[:, axis]
        with np.errstate(divide="ignore"):
            one, other = (low[axis] - x) / slope, (high[axis] - x) / slope
        start = np.maximum(start, np.minimum(one, other))
        end = np.minimum(end, np.maximum(one, other))
    return np.maximum(end - start, 0.0)


def relative_densities(lines, centre, size, turn):
    """Length per volume in the middle, at edges and in corners of a region, and its deviations.

    Both relative to that of the whole region.
    """
    lines = lines.turned(turn)
    centre = turn @ centre
    whole = length_within(lines, centre - size / 2, centre + size / 2).sum() / size.prod()
    cell = size / 12
    found = []
    for place in np.ndindex(3, 3, 3):
        at = centre + (np.array(place) - 1) * (size - cell) / 2
        length = length_within(lines, at - cell / 2, at + cell / 2)
        scale = cell.prod() * whole
        found.append((length.sum() / scale, np.sqrt((length**2).sum()) / scale))
    return np.array(found).T


SIZES = {"plate": (20.0, 22.0, 0.4), "cube": (5.0, 6.0, 7.0)}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["count", "length_per_volume"])
@pytest.mark.parametrize("directions", ["all", "fixed"])
def test_every_place_of_a_box_has_the_same_length_of_line_per_volume(size, how, directions):
    size, centre = np.array(SIZES[size]), np.array([1.0, -2.0, 3.0])
    options = {"character_deg": 20.0, "systems": FCC[4:5]} if directions == "fixed" else {}
    options[how] = 150_000 if how == "count" else 800.0
    lines = draw(region=Box(centre - size / 2, centre + size / 2), **options).lines
    density, deviation = relative_densities(lines, centre, size, np.eye(3))
    assert deviation.max() < 0.09
    np.testing.assert_array_less(np.abs(density - 1.0), 4.0 * deviation)
    assert density.mean() == pytest.approx(1.0, abs=0.02)


def test_every_place_of_a_turned_slab_has_the_density_that_was_asked_for():
    centre = np.array([3.0, -1.0, 2.0])
    region = Slab(TURN[:, 2], width=8.0, depth=1.5, centre=centre)
    lines = draw(region=region, length_per_volume=1000.0).lines
    across = np.cross(TURN[:, 2], [1.0, 0.0, 0.0])
    across /= np.linalg.norm(across)
    frame = np.stack([np.cross(across, TURN[:, 2]), across, TURN[:, 2]])
    size = np.array([8.0, 8.0, 1.5])
    density, deviation = relative_densities(lines, centre, size, frame)
    np.testing.assert_array_less(np.abs(density - 1.0), 4.0 * deviation)
    half = size / 2
    turned = lines.turned(frame)
    whole = length_within(turned, frame @ centre - half, frame @ centre + half).sum()
    assert whole / size.prod() == pytest.approx(1000.0, rel=1e-4)
    points = (lines.positions - centre) @ frame.T
    assert np.all(np.abs(points) <= half + 1e-12)


def test_weights_are_shares_of_the_number_or_of_the_length_per_volume():
    # Lines along x hardly ever meet a plate, but run far in it.
    along, through = ([1, 0, 0], [0, 1, 0]), ([0, 0, 1], [0, 1, 0])
    systems = [
        GlideSystem(b, normal, weight)
        for (b, normal), weight in zip((along, through), (1.0, 3.0), strict=True)
    ]
    region, corner = Box([0, 0, 0], [8, 9, 0.5]), np.array([8.0, 9.0, 0.5])
    by_number = draw(region=region, systems=systems, count=20_000, character_deg=90.0)
    assert np.mean(by_number.system) == pytest.approx(0.75, abs=0.012)
    by_length = draw(region=region, systems=systems, length_per_volume=900.0, character_deg=90.0)
    length = length_within(by_length.lines, np.zeros(3), corner)
    assert length[by_length.system == 1].sum() / length.sum() == pytest.approx(0.75, abs=0.02)


def test_lines_along_a_flat_region_cross_it_evenly():
    flat = Box([0, 0, 1], [10, 3, 1])
    system = [GlideSystem([1, 1, 0], [0, 0, 1])]
    positions = draw(region=flat, systems=system, count=4000, character_deg=90.0).lines.positions
    assert np.all(positions[:, 2] == 1.0)
    # Their distances from the diagonal through the origin, from that of one corner to the other's.
    assert kstest(positions[:, 1] - positions[:, 0], "uniform", (-10, 13)).pvalue > 1e-3
    upright = draw(region=flat, count=4000).lines.positions
    for axis, size in ((0, 10), (1, 3)):
        assert kstest(upright[:, axis], "uniform", (0, size)).pvalue > 1e-3


def test_points_are_spread_normally_over_a_gaussian():
    region = Gaussian(5.0, depth=2.0, centre=[1, 2, 3])
    positions = draw(region=region, count=5000).lines.positions - [1, 2, 3]
    for axis in (0, 1):
        assert kstest(positions[:, axis] / 5.0, "norm").pvalue > 1e-3
    assert kstest(positions[:, 2], "uniform", (-1, 2)).pvalue > 1e-3


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


@pytest.mark.parametrize("region", [BOX, Gaussian(6.0)])
@pytest.mark.parametrize("distance", [0.0, 0.4])
def test_a_larger_count_adds_to_the_lines_of_a_smaller(region, distance):
    many = draw(region=region, count=500, minimum_distance=distance)
    few = draw(region=region, count=300, minimum_distance=distance)
    for name in ("positions", "lines"):
        np.testing.assert_array_equal(getattr(few.lines, name), getattr(many.lines, name)[:300])
    np.testing.assert_array_equal(few.system, many.system[:300])


def test_a_larger_density_adds_to_the_lines_of_a_smaller():
    few, many = (draw(length_per_volume=density).lines for density in (3.0, 5.0))
    assert len(few) < len(many)
    np.testing.assert_array_equal(few.positions, many.positions[: len(few)])


def test_points_of_a_cloud_do_not_depend_on_what_the_lines_are():
    base = draw(region=Gaussian(6.0), count=300)
    other = draw(region=Gaussian(6.0), count=300, systems=FCC[:2], character_deg=0.0, excess=1.0)
    np.testing.assert_array_equal(other.lines.positions, base.lines.positions)


def test_streams_of_one_seed_share_no_place():
    places = [draw(stream=stream, count=200).lines.positions for stream in (0, 1, 2)]
    assert pdist(np.concatenate(places)).min() > 1e-4


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
