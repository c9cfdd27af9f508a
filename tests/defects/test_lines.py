import numpy as np
import pytest

from weakbeam.defects.lines import StraightLine, StraightLines

MIXED = StraightLine([2e-4, 1e-4, -3e-4], [1.0, 2.0, 3.0], [0.1, 0.2, 0.3])
LINES = [
    StraightLine([2e-4, 0, 1e-4], [0.0, 1.0, 1.0], [0.1, 0.0, 0.0], 1e-3),
    StraightLine([0, 0, 1e-4], [0.0, 0.0, -2.0], [0.1, 5.0, 0.0]),
]


def test_lines_keep_every_digit_of_the_dislocations():
    for one, other in zip(StraightLines.of(LINES), LINES, strict=True):
        for name in ("burgers_vector", "line", "position"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.core_radius == other.core_radius


def test_axes_are_those_of_the_single_dislocation():
    np.testing.assert_array_equal(StraightLines.of(LINES).axes, [d.axes for d in LINES])


def test_some_of_the_lines():
    lines = StraightLines.of(LINES)
    assert len(lines) == 2
    assert [d.core_radius for d in lines.chosen([True, False])] == [1e-3]
    assert len(lines.chosen(np.array([], dtype=int))) == 0
    assert len(StraightLines.of([])) == 0


def test_joined_lines_stand_one_part_after_the_other():
    parts = [StraightLines.of(LINES), StraightLines.of([]), StraightLines.of([MIXED])]
    joined = StraightLines.joined(parts)
    for line, other in zip(joined, [*LINES, MIXED], strict=True):
        for name, value in vars(other).items():
            np.testing.assert_array_equal(getattr(line, name), value)
    assert len(StraightLines.joined([])) == 0


@pytest.mark.parametrize("angle", [0.0, 1e-7, 30.0, 90.0 - 1e-7, 90.0])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_characters_keep_their_digits_from_edge_to_screw(angle, sign):
    psi = np.radians(angle)
    line = StraightLine([3e-4 * np.cos(psi), 0, sign * 3e-4 * np.sin(psi)], [0, 0, 1], [0, 0, 0])
    assert line.character_deg == pytest.approx(angle, rel=1e-8, abs=1e-13)
    np.testing.assert_allclose(
        StraightLines.of([line, MIXED]).characters_deg[0], angle, 1e-8, 1e-13
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"burgers_vectors": np.zeros((1, 3))}, "Burgers vector is zero"),
        ({"lines": np.zeros((1, 3))}, "line is zero"),
        ({"lines": np.ones((2, 3))}, "lines must be 1 rows"),
        ({"positions": [[0, np.nan, 0]]}, "positions must be 1 rows"),
        ({"core_radii": -1.0}, "core radius"),
    ],
)
def test_wrong_lines_are_refused_in_one_line(changed, said):
    values = {
        "burgers_vectors": [[1e-4, 0, 0]],
        "lines": [[0, 0, 1]],
        "positions": [[0, 0, 0]],
        "core_radii": 0.0,
    }
    with pytest.raises(ValueError, match=said):
        StraightLines(**(values | changed))


def test_parts_of_a_mixed_burgers_vector_share_the_line():
    x, y, z = MIXED.axes
    axes = np.stack([x, y, z])
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-15)
    assert np.linalg.det(axes) == pytest.approx(1.0, abs=1e-14)
    np.testing.assert_allclose(z, np.array([1, 2, 3]) / np.sqrt(14), rtol=1e-15)
    rebuilt = MIXED.edge_part * x + MIXED.screw_part * z
    np.testing.assert_allclose(rebuilt, MIXED.burgers_vector, rtol=1e-12)


def test_the_edge_part_of_a_pure_screw_is_zero_and_its_axes_still_a_frame():
    screw = StraightLine([0.0, -3e-4, 0.0], [0.0, 1.0, 0.0], [0, 0, 0])
    assert screw.edge_part == 0.0
    assert screw.screw_part == -3e-4
    axes = np.stack(screw.axes)
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-15)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"burgers_vector": [0.0, 0.0, 0.0]}, "burgers_vector is zero"),
        ({"line": [0.0, 0.0, 0.0]}, "line is zero"),
        ({"line": [1.0, np.nan, 0.0]}, "line must be three finite numbers"),
        ({"position": [1.0, 2.0]}, "position must be three finite numbers"),
        ({"core_radius": -1e-6}, "core_radius -1e-06"),
        ({"core_radius": np.inf}, "core_radius inf"),
    ],
)
def test_impossible_dislocations_are_refused(changes, message):
    values = {
        "burgers_vector": [1e-4, 0, 0],
        "line": [0, 0, 1],
        "position": [0, 0, 0],
    }
    with pytest.raises(ValueError, match=message):
        StraightLine(**{**values, **changes})
