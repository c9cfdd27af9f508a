"""Deformation on a grid, from the file to the sample."""

import re
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from field_files import GRAINS, rotation, strained, write_damask, write_xdmf

from weakbeam import simulate
from weakbeam.assemble import assemble, assemble_all, input_files
from weakbeam.assemble.gridded import place_grid, quaternion_of
from weakbeam.assemble.resolved import resolve
from weakbeam.crystal.orientation import rotations_of_quaternions, sample_from_crystal_quaternion
from weakbeam.defects.field import evaluate
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment, Grid, Reflection, Uniform
from weakbeam.imaging.direct import direct_images, q_of_rays
from weakbeam.run.defect_lines import defect_lines
from weakbeam.run.record import record

SETTINGS = [
    "camera.pixels=[8, 12]",
    "camera.pixel_nm=100",
    "beam.height_fwhm_um=0.4",
    "scan.phi.value_mrad=0.1",
]
RNG = np.random.default_rng(7)


def experiment(*defects, settings=(), **keys):
    return Experiment(defects=defects, **keys).with_settings([*SETTINGS, *settings])


def places(shape, origin, spacing):
    axes = [o + spacing * np.arange(n) for n, o in zip(shape, origin, strict=True)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def bent(at):
    """β that is linear in the place: what interpolation has exactly."""
    slope = np.random.default_rng(8).normal(size=(3, 3, 3))
    return 1e-4 * np.einsum("ijk,...k->...ij", slope, at)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


ORIGIN, STEP = (-5.0, -3.5, -2.0), 0.5
AT = places((21, 15, 9), ORIGIN, STEP)
SOME = np.random.default_rng(9).uniform([-4, -3, -1.5], [4, 3, 1.5], (40, 3))
TURN = rotation([1, -1, 2], 0.7)


def save(**arrays):
    np.savez("a.npz", origin_um=ORIGIN, spacing_um=STEP, **arrays)


def field_of(*defects, **keys):
    return assemble(experiment(*defects, **keys)).defects.field()


def placed_in(mount, table):
    """A grid in a crystal that is mounted so."""
    host = SimpleNamespace(crystal=resolve(experiment()).crystal, sample_from_crystal=mount)
    (placed,) = place_grid(table, "defects[0]", host)
    return placed


def refused(match, key, mount=None, **keys):
    with pytest.raises(InputError, match=match) as raised:
        placed_in(np.eye(3) if mount is None else mount, Grid(**keys))
    assert raised.value.key == f"defects[0].{key}"


@pytest.mark.parametrize("quantity", ["beta", "lattice_F", "F"])
def test_gradients_are_taken_as_they_are(quantity):
    save(**{quantity: bent(AT) + (quantity != "beta") * np.eye(3)})
    np.testing.assert_allclose(
        evaluate(field_of(Grid(file="a.npz")), SOME), bent(SOME), rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("derivative", ["differences", "spectral", None])
def test_displacements_are_differentiated(derivative):
    x, _, z = np.moveaxis(AT, -1, 0)
    if derivative == "spectral":
        wave = 2.0 * np.pi / (21 * STEP)
        u, expected = np.cos(wave * (x + 5.0)), -wave * np.sin(wave * (SOME[:, 0] + 5.0))
        # Lines between the points of a wave.
        tolerance = (wave * STEP) ** 2 * wave / 8.0
    else:
        u, expected, tolerance = x * z, SOME[:, 2], 1e-13
    save(u=1e-4 * np.stack([0 * x, u, 0 * x], axis=-1))
    beta = evaluate(field_of(Grid(file="a.npz", derivative=derivative)), SOME)
    np.testing.assert_allclose(beta[:, 1, 0], 1e-4 * expected, rtol=0, atol=1e-4 * tolerance)
    if derivative != "spectral":
        np.testing.assert_allclose(beta[:, 1, 2], 1e-4 * SOME[:, 0], rtol=0, atol=1e-16)
    assert not beta[:, [0, 2]].any()


@pytest.mark.parametrize("as_quaternions", [False, True])
def test_orientations_turn_the_lattice_and_strain_is_along_the_grid(as_quaternions):
    small = np.array([rotation([0, 0, 1], 1e-3 * a) for a in AT[..., 0].ravel()])
    small = small.reshape(*AT.shape, 3)
    turned = small @ TURN
    strain = 0.5 * (bent(AT) + np.swapaxes(bent(AT), -1, -2))
    if as_quaternions:
        flat = [quaternion_of(one) for one in turned.reshape(-1, 3, 3)]
        turned = -2.0 * np.reshape(flat, (*AT.shape[:3], 4))
    save(orientation=turned, strain=strain)
    reference = tuple(quaternion_of(TURN))
    placed = placed_in(TURN, Grid(file="a.npz", reference=reference))
    beta = placed.field.source.read(placed.field.source.grid.whole)
    np.testing.assert_allclose(beta, (np.eye(3) + strain) @ small - np.eye(3), atol=2e-15)
    # The middle of the grid is its mean, but for a rotation about another axis than z.
    mean = placed_in(TURN, Grid(file="a.npz"))
    np.testing.assert_allclose(mean.field.source.reference, TURN, atol=1e-3)


def test_quaternions_are_those_of_the_crystal():
    q = RNG.normal(size=(6, 4))
    expected = [sample_from_crystal_quaternion(one) for one in q]
    np.testing.assert_allclose(rotations_of_quaternions(q), expected, atol=1e-15)
    for one in expected:
        again = sample_from_crystal_quaternion(quaternion_of(one))
        np.testing.assert_allclose(again, one, atol=1e-14)


def test_a_grain_of_damask_turns_with_its_lattice():
    _, grain, middles = write_damask("result.hdf5")
    keys = {"file": "result.hdf5", "mask": "B", "grain": 0, "outside": "dark"}
    reference = tuple(quaternion_of(GRAINS[1]))
    mount = rotation([3, 1, 0], 1.1)
    refused("turned .* deg against the crystal .* give crystal.quaternion", "axes", **keys)
    placed = placed_in(mount, Grid(**keys, reference=reference, axes="crystal"))
    turn = mount @ GRAINS[1].T
    inside = middles[grain == 1]
    beta = evaluate(placed.field, inside @ turn.T)
    np.testing.assert_allclose(beta, turn @ strained(inside) @ turn.T, rtol=0, atol=1e-14)
    assert np.isnan(evaluate(placed.field, middles[grain != 1] @ turn.T)).all()
    # Mounted as it is in the file the grid need not turn, nor in an equivalent mount of a cube.
    quarter = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
    for own in (GRAINS[1], GRAINS[1] @ quarter):
        placed = placed_in(own, Grid(**keys, reference=reference))
        np.testing.assert_allclose(evaluate(placed.field, inside), strained(inside), atol=1e-14)
    absolute = placed_in(GRAINS[1], Grid(**keys, reference="mount"))
    np.testing.assert_allclose(evaluate(absolute.field, inside), strained(inside), atol=1e-14)


def test_lattice_planes_are_those_of_the_lattice_part():
    """Q = F_e^-T B h, whatever the reference orientation and the mount."""
    _, grain, middles = write_damask("result.hdf5")
    placed = placed_in(np.eye(3), Grid(file="result.hdf5", mask="B", grain=0, axes="crystal"))
    turn = placed.field.frame_from_grid
    at = middles[grain == 1]
    lattice = (np.eye(3) + strained(at)) @ GRAINS[1]
    h = np.array([1.0, 2.0, -3.0])
    f = np.eye(3) + evaluate(placed.field, at @ turn.T)
    inverse = np.swapaxes(np.linalg.inv(f), -1, -2)
    expected = turn @ np.swapaxes(np.linalg.inv(lattice), -1, -2)
    np.testing.assert_allclose(inverse @ h, expected @ h, rtol=0, atol=1e-13)


def test_places_come_from_the_file_or_the_table():
    write_damask("result.hdf5")
    keys = {"file": "result.hdf5", "mask": "A", "axes": "crystal"}

    def grid(**more):
        return placed_in(np.eye(3), Grid(**keys, **more)).field.source.grid

    np.testing.assert_allclose(grid().origin, [1.5, 1.0, -1.5])
    np.testing.assert_allclose(grid(spacing_um=(2.0, 2.0, 3.0)).origin, [3.0, 1.0, -4.5])
    np.testing.assert_allclose(grid(origin_um=(7.0, 0.0, 1.0)).origin, [7.0, 0.0, 1.0])
    np.testing.assert_allclose(grid(origin_um="centre").origin, [-1.5, -2.0, -2.0])
    grains = np.zeros((21, 15, 9), int)
    grains[2:5, 3:4, 0:2] = 4
    np.savez("b.npz", beta=bent(AT), grains=grains)
    refused("does not tell spacing_um", "spacing_um", file="b.npz")
    table = Grid(file="b.npz", spacing_um=2.0, mask="grains", grain=4)
    placed = placed_in(np.eye(3), table)
    np.testing.assert_allclose(placed.field.source.grid.origin, [-6.0, -6.0, -1.0])
    assert np.isfinite(evaluate(placed.field, np.zeros(3))).all()
    assert np.isnan(evaluate(placed.field, [0.0, 2.0, 0.0])).all()


def test_keys_without_meaning_are_refused():
    save(beta=bent(AT))
    refused("beta has none", "reference", file="a.npz", reference="mean")
    refused("is for u, not beta", "derivative", file="a.npz", derivative="spectral")
    with pytest.raises(InputError, match='needs quantity = "u"'):
        Grid(file="a.npz", quantity="beta", derivative="spectral")
    with pytest.raises(InputError, match="u has none"):
        Grid(file="a.npz", quantity="u", reference="mean")
    np.savez("c.npz", u=np.zeros((3, 6, 6, 3)), spacing_um=1.0)
    refused("3 points along an axis", "file", file="c.npz")


def test_the_image_is_the_direct_sum():
    save(beta=bent(AT))
    given = ["camera.oversampling=2", "camera.depth_samples=60"]
    dark = experiment(Grid(file="a.npz", outside="dark"), settings=given)
    setup, image = assemble(dark), simulate(dark).images.values
    rays = setup.grids[-1]
    q = q_of_rays(setup.field_at(), setup.geometry, rays)
    (direct,) = direct_images(q, rays, setup.geometry, setup.acceptance, [[1e-4, 0, 0]])
    assert 0.0 < image.min() < 0.8 * image.max()
    np.testing.assert_allclose(image, direct, rtol=0, atol=2e-4 * direct.max())


def test_a_dislocation_on_a_grid_has_the_image_of_the_dislocation():
    edge = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))
    setup = assemble(experiment(edge))
    corners = setup.grids[-1].points(np.arange(96)).reshape(-1, 3)
    low = corners.min(axis=0) - 0.05
    shape = np.ceil((corners.max(axis=0) + 0.05 - low) / 0.04).astype(int) + 1
    np.savez(
        "line.npz",
        beta=evaluate(setup.field_at(), places(shape, low, 0.04)),
        origin_um=low,
        spacing_um=0.04,
    )
    flank = ["scan.phi.value_mrad=0.14"]
    exact, image = (
        simulate(experiment(one, settings=flank)).images.values
        for one in (edge, Grid(file="line.npz"))
    )
    (line,) = setup.dislocations
    away = corners.reshape(96, -1, 3) - line.line.position
    across = np.linalg.norm(np.cross(away, line.line.line), axis=-1).min(axis=1).reshape(8, 12)
    far = across > 0.2
    assert np.abs(image - exact)[far].max() < 0.01 * np.ptp(exact[far])
    assert np.ptp(exact[far]) > 0.1 * exact.max()


def test_a_rotation_on_a_grid_is_that_of_the_whole_crystal():
    save(orientation=np.broadcast_to(rotation([0.3, -0.5, 0.2], 2e-4), (*AT.shape, 3)))
    grid = Grid(file="a.npz", reference="none", outside="extend")
    axis = 1e3 * 2e-4 * np.array([0.3, -0.5, 0.2]) / np.linalg.norm([0.3, -0.5, 0.2])
    turned = Uniform(rotation_mrad=tuple(axis.tolist()))
    images = [simulate(experiment(one)).images.values for one in (grid, turned)]
    np.testing.assert_allclose(*images, rtol=1e-6)
    assert np.abs(images[0] - simulate(experiment()).images.values).max() > 0.01


def test_it_turns_with_a_remounted_crystal():
    save(beta=bent(AT))
    mounts = (Reflection(hkl=(-1, 1, -1)), Reflection(hkl=(1, 1, 1)))
    setups = assemble_all(experiment(Grid(file="a.npz"), reflections=mounts))
    turn = setups[1].sample_from_crystal @ setups[0].sample_from_crystal.T
    expected = turn @ bent(SOME) @ turn.T
    field = setups[1].defects.field()
    np.testing.assert_allclose(evaluate(field, SOME @ turn.T), expected, atol=1e-15)


def test_the_output_file_lists_it_and_the_hash_of_its_file():
    write_xdmf(Path("a.xdmf"), AT.reshape(-1, 3), bent(AT).reshape(-1, 3, 3) + np.eye(3))
    with_grid = experiment(Grid(file="a.xdmf"))
    assert input_files(with_grid) == ["a.xdmf", "a.h5"]
    file = record(with_grid, "run").file
    with h5py.File(file) as opened:
        row = {name: values[0] for name, values in opened["1.1/sample/defects"].items()}
        assert opened["1.1/sample/defects/grid_spacing"].attrs["units"] == "um"
        inputs = opened.visititems(
            lambda name, node: node["sha256"][()] if name.endswith("inputs") else None
        )
    assert (row["kind"], row["file"], row["quantity"]) == (b"grid", b"a.xdmf", b"lattice_F")
    assert row["grid_points"].tolist() == [21, 15, 9]
    assert len(inputs) == 2
    stored = experiment({"kind": "stored", "file": str(file)})
    with pytest.raises(InputError, match="lists a grid, whose deformation it does not hold"):
        assemble(stored)


def test_it_says_what_it_is():
    write_damask("result.hdf5")
    (line,) = defect_lines(
        assemble(experiment(Grid(file="result.hdf5", mask="B", grain=1, axes="crystal"))).defects
    )
    assert line.startswith(
        "defects[0]  grid, 4 × 3 × 5 points, 1 × 2 µm apart, of lattice_F in a DAMASK result, "
        "increment 10, phase B; reference orientation (mean) 0.5"
    )


def test_the_blocks_of_the_page_are_placed():
    page = Path(__file__).parents[2] / "docs/how-to/crystal-plasticity.md"
    result, arrays = re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.M | re.S)
    assert Experiment.from_toml_text(result).defects[0].grain == 3
    number = np.zeros((6, 6, 6), int)
    number[:3] = 1
    turned = np.broadcast_to(TURN, (6, 6, 6, 3, 3))
    np.savez("grain.npz", orientation=turned, grain=number, spacing_um=0.3)
    (placed,) = assemble(Experiment.from_toml_text(arrays)).defects.placed
    assert np.abs(evaluate(placed.field, np.zeros(3))).max() < 1e-14
    assert np.isnan(evaluate(placed.field, [9.0, 0.0, 0.0])).all()


def test_a_grain_has_the_image_of_a_crystal_that_is_turned_rigidly():
    """F_e of an undeformed grain is its orientation; seen from another one it is turned."""
    _, grain, _ = write_damask("result.hdf5")
    # The middle of a voxel of the grain is looked at, large as the field of view.
    voxel = np.argwhere(grain == 1)[3]
    size = 40.0
    axis, angle = np.array([0.2, 0.9, -0.3]), 1.5e-4
    axis = axis / np.linalg.norm(axis)
    reference = rotation(axis, angle) @ GRAINS[1]
    table = Grid(
        file="result.hdf5",
        mask="B",
        grain=0,
        increment=0,
        axes="crystal",
        reference=tuple(quaternion_of(reference)),
        spacing_um=size,
        origin_um=tuple((-size * voxel).tolist()),
        outside="dark",
    )
    back = -1e3 * angle * reference.T @ axis
    turned = Uniform(rotation_mrad=tuple(back.tolist()), axes="crystal")
    image, expected, flat = (
        simulate(experiment(*defects)).images.values for defects in ((table,), (turned,), ())
    )
    np.testing.assert_allclose(image, expected, rtol=1e-6)
    assert np.abs(expected - flat).max() > 0.05


def test_edges_of_what_diffracts_leave_other_rays_their_samples():
    """Where every ray crosses many of them, samples are spared at the edges alone."""
    lit = np.zeros((2, 2, 40), int)
    lit[:, :, ::2] = 1
    np.savez("a.npz", beta=np.zeros((2, 2, 40, 3, 3)), spacing_um=(20.0, 20.0, 0.1), lit=lit)
    settings = ["camera.pixels=[64, 80]", "beam.height_fwhm_um=0.6"]
    lit = experiment(Grid(file="a.npz", mask="lit"), settings=settings)
    for setup in (assemble(lit), assemble(lit.with_settings(["camera.oversampling=point"]))):
        engine = setup.engine()
        assert engine.loosened < 20.0
        assert not engine.reached > 0.05
        image = engine.images(np.zeros((1, 3)), np.zeros((1, 3)))
        np.testing.assert_allclose(image, 0.5, atol=0.03)
