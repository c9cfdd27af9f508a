import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from weakbeam.crystal.elasticity import IsotropicMedium
from weakbeam.defects.field import evaluate
from weakbeam.defects.gridded import (
    GriddedField,
    GriddedGradient,
    RegularGrid,
    displacement_gradient,
    mean_orientation,
    slabs,
)
from weakbeam.defects.lines import StraightLine, StraightLines
from weakbeam.defects.many import Bounds
from weakbeam.defects.straight import StraightDislocations

SHAPE, ORIGIN, SPACING = (7, 6, 8), np.array([-1.0, 0.3, -0.5]), np.array([0.3, 0.5, 0.2])
RNG = np.random.default_rng(4)


def places(shape=SHAPE, origin=ORIGIN, spacing=SPACING):
    axes = [o + d * np.arange(n) for n, o, d in zip(shape, origin, spacing, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def inside(count, shape=SHAPE, room=0.5):
    low, high = ORIGIN - room * SPACING, ORIGIN + (np.array(shape) - 1 + room) * SPACING
    return RNG.uniform(low, high, (count, 3))


SLOPE, OFFSET = RNG.normal(size=(3, 3, 3)), RNG.normal(size=(3, 3))


def linear(at):
    return np.einsum("ijk,...k->...ij", SLOPE, at) + OFFSET


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
@pytest.mark.parametrize("flat", [False, True])
def test_linear_fields_are_exact_up_to_the_faces(interpolation, flat):
    shape = (7, 6, 1) if flat else SHAPE
    at = inside(300, shape)
    if flat:
        at[:, 2] = ORIGIN[2]
    field = GriddedGradient(
        linear(places(shape)), ORIGIN, SPACING, outside="dark", interpolation=interpolation
    )
    np.testing.assert_allclose(evaluate(field, at), linear(at), rtol=0, atol=2e-14)


def test_between_points_it_is_what_scipy_finds():
    values = RNG.normal(size=(*SHAPE, 3, 3))
    axes = [o + d * np.arange(n) for n, o, d in zip(SHAPE, ORIGIN, SPACING, strict=True)]
    at = inside(300, room=0.0)
    expected = RegularGridInterpolator(axes, values)(at)
    np.testing.assert_allclose(evaluate(GriddedGradient(values, ORIGIN, SPACING), at), expected)


def test_cubic_interpolation_follows_curves_more_closely():
    def bent(at):
        return np.sin(2.0 * at)[..., None, :] * np.ones((3, 1))

    at = inside(300, room=-1.0)
    errors = {}
    for order in ("linear", "cubic"):
        field = GriddedGradient(bent(places()), ORIGIN, SPACING, interpolation=order)
        errors[order] = np.abs(evaluate(field, at) - bent(at)).max()
    assert errors["cubic"] < 0.4 * errors["linear"] < 0.1


@pytest.mark.parametrize("interpolation", ["linear", "cubic"])
def test_voxels_that_are_nan_are_dark_and_spoil_nothing_beside_them(interpolation):
    values = linear(places())
    lit = np.ones(SHAPE, bool)
    lit[3:, :2, 2:5] = False
    values[~lit] = np.nan
    at = inside(2000)
    number = tuple(np.rint((at - ORIGIN) / SPACING).astype(int).T)
    beta = evaluate(GriddedGradient(values, ORIGIN, SPACING, interpolation=interpolation), at)
    np.testing.assert_array_equal(np.isnan(beta).all(axis=(1, 2)), ~lit[number])
    np.testing.assert_allclose(beta[lit[number]], linear(at)[lit[number]], rtol=0, atol=1e-13)
    masked = GriddedGradient(
        linear(places()), ORIGIN, SPACING, lit=lit, interpolation=interpolation
    )
    np.testing.assert_allclose(evaluate(masked, at), beta, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("outside", "value"), [("perfect", 0.0), ("dark", np.nan)])
def test_what_is_outside_follows_the_rule(outside, value):
    field = GriddedGradient(linear(places()), ORIGIN, SPACING, outside=outside)
    low, high = ORIGIN - 0.5 * SPACING, ORIGIN + (np.array(SHAPE) - 0.5) * SPACING
    for axis in range(3):
        for face, side in ((low, -1), (high, 1)):
            at = ORIGIN + SPACING
            at[axis] = face[axis] + side * 1e-9
            np.testing.assert_array_equal(evaluate(field, at), np.full((3, 3), value))
            at[axis] = face[axis] - side * 1e-9
            np.testing.assert_allclose(evaluate(field, at), linear(at), atol=1e-13)


def test_it_extends_as_it_is_at_the_face():
    field = GriddedGradient(linear(places()), ORIGIN, SPACING, outside="extend")
    at = RNG.uniform(-9, 9, (200, 3))
    nearest = np.clip(at, ORIGIN - 0.5 * SPACING, ORIGIN + (np.array(SHAPE) - 0.5) * SPACING)
    np.testing.assert_allclose(evaluate(field, at), linear(nearest), rtol=0, atol=1e-12)


def test_it_turns_with_its_frame():
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    at = inside(100)
    field = GriddedGradient(linear(places()), ORIGIN, SPACING, frame_from_grid=turn)
    np.testing.assert_allclose(
        evaluate(field, at @ turn.T), turn @ linear(at) @ turn.T, rtol=0, atol=1e-13
    )


def test_single_precision_stays_as_it_is():
    values = RNG.normal(size=(*SHAPE, 3, 3)).astype(np.float32)
    field = GriddedGradient(values, ORIGIN, SPACING)
    assert field._values.dtype == np.float32
    np.testing.assert_allclose(evaluate(field, places()), values, rtol=0, atol=1e-12)


def test_only_the_part_that_is_seen_is_read():
    class Source:
        def __init__(self):
            self.grid = RegularGrid((40, 30, 20), np.zeros(3), np.full(3, 0.1))
            self.parts = []

        def read(self, box):
            self.parts.append(box)
            return linear(places(self.grid.shape, self.grid.origin, self.grid.spacing))[box]

    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    source = Source()
    field = GriddedField(source, outside="dark").turned(turn)
    corners = RNG.uniform([1.0, 1.0, 1.0], [1.3, 1.2, 1.1], (50, 3)) @ turn.T
    near = field.prepared(Bounds.of(corners), 1000, None)
    np.testing.assert_allclose(evaluate(near, corners), evaluate(field, corners), atol=1e-13)
    part, whole = (np.prod([s.stop - s.start for s in box]) for box in source.parts)
    assert part < whole / 10
    assert whole == 40 * 30 * 20


def test_a_circuit_of_cells_about_a_dislocation_holds_its_burgers_vector():
    burgers = np.array([2e-4, 1e-4, 1.5e-4])
    lines = StraightLines.of([StraightLine(burgers, np.array([0, 0, 1.0]), np.zeros(3), 0.0)])
    exact = StraightDislocations(lines, IsotropicMedium(0.3))
    shape, step = (40, 40, 3), np.array([0.05, 0.05, 0.05])
    at = places(shape, -0.5 * (np.array(shape) - 1) * step, step)
    field = GriddedGradient(evaluate(exact, at), at[0, 0, 0], step)
    square = np.concatenate(
        [
            np.linspace(a, b, 400, endpoint=False)
            for a, b in (
                ((0.6, -0.6), (0.6, 0.6)),
                ((0.6, 0.6), (-0.6, 0.6)),
                ((-0.6, 0.6), (-0.6, -0.6)),
                ((-0.6, -0.6), (0.6, -0.6)),
            )
        ]
    )
    corner = np.append(square, np.zeros((len(square), 1)), axis=1)
    after = np.roll(corner, -1, axis=0)
    beta = evaluate(field, 0.5 * (corner + after))
    np.testing.assert_allclose(np.einsum("nij,nj->i", beta, after - corner), burgers, rtol=2e-3)


def test_displacements_are_differentiated_to_fourth_order():
    at = places((9, 8, 7))
    x, y, z = np.moveaxis(at, -1, 0)
    u = np.stack([x**4 - y, x * z**3, 2.0 * y**2 * z], axis=-1)
    beta = displacement_gradient(u, SPACING)
    zero = np.zeros_like(x)
    expected = [
        [4 * x**3, -1.0 + zero, zero],
        [z**3, zero, 3 * x * z**2],
        [zero, 4 * y * z, 2 * y**2],
    ]
    np.testing.assert_allclose(beta, np.moveaxis(expected, (0, 1), (-2, -1)), atol=1e-12)


@pytest.mark.parametrize("count", [8, 9])
def test_periodic_displacements_are_differentiated_without_error(count):
    x = np.arange(count) * 0.5
    k = 2 * np.pi / (0.5 * count)
    u = np.zeros((count, 1, 1, 3))
    u[:, 0, 0, 1] = np.cos(k * x) + np.sin(3 * k * x)
    beta = displacement_gradient(u, 0.5, "spectral")
    expected = -k * np.sin(k * x) + 3 * k * np.cos(3 * k * x)
    np.testing.assert_allclose(beta[:, 0, 0, 1, 0], expected, atol=1e-12)
    assert np.count_nonzero(beta) == np.count_nonzero(beta[..., 1, 0])


def test_differences_need_five_points():
    with pytest.raises(ValueError, match="4 points"):
        displacement_gradient(np.zeros((6, 4, 6, 3)), 1.0)


def test_the_mean_orientation_is_that_of_what_diffracts():
    turn = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    values = np.broadcast_to(np.diag([1.01, 0.99, 1.0]), (*SHAPE, 3, 3)).copy()
    lit = RNG.random(SHAPE) < 0.5
    values[lit] = turn @ (np.eye(3) + 1e-3 * np.ones((3, 3)))
    values[0, 0, 0] = np.nan
    grid = RegularGrid(SHAPE, ORIGIN, SPACING)
    np.testing.assert_allclose(mean_orientation(values.__getitem__, lit, grid), turn, atol=1e-12)
    with pytest.raises(ValueError, match="no voxel"):
        mean_orientation(values.__getitem__, np.zeros(SHAPE, bool), grid)
    assert [box[2] for box in slabs(grid, 100)] == [slice(k, k + 2) for k in range(0, 8, 2)]


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(nx, ny, nz, 3, 3\)"):
        GriddedGradient(np.zeros((4, 4, 4, 9)), 0.0, 1.0)
