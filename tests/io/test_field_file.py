import h5py
import numpy as np
import pytest
from field_files import CELLS, GRAINS, strained, write_damask, write_xdmf

from weakbeam.errors import InputError
from weakbeam.io.damask import grains_of, read_result
from weakbeam.io.field_file import is_field, open_field

RNG = np.random.default_rng(2)
TENSORS = RNG.normal(size=(5, 4, 3, 3, 3))
WHOLE = (slice(0, 5), slice(0, 4), slice(0, 3))
PART = (slice(1, 4), slice(0, 2), slice(1, 3))


def refused(path, match, key=None, **options):
    with pytest.raises(InputError, match=match) as raised:
        open_field(str(path), "defects[0]", **options)
    assert "\n" not in str(raised.value)
    if key:
        assert raised.value.key == f"defects[0].{key}"


class TestDamask:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "result.hdf5"

    def test_the_lattice_part_of_one_grain_is_read(self, path):
        label, grain, middles = write_damask(path)
        file = open_field(str(path), "defects[0]", mask="B", grain=0)
        # Increments are numbers: 10 comes after 9.
        assert file.facts == {"increment": "10", "phase": "B"}
        assert file.quantity == "lattice_F"
        assert file.has_orientation
        np.testing.assert_allclose(file.grid.spacing, [1.0, 2.0, 1.0])
        np.testing.assert_allclose(file.grid.origin, middles[0, 0, 0])
        expected = np.array([(np.eye(3) + strained(at)) @ GRAINS[1] for at in middles[grain == 1]])
        box = tuple(slice(0, count) for count in CELLS)
        np.testing.assert_array_equal(file.lit, grain == 1)
        np.testing.assert_allclose(file.read(box)[file.lit], expected, rtol=0, atol=1e-15)
        assert np.isnan(file.read(box)[label == b"A"]).all()
        part = tuple(slice(1, 3) for _ in CELLS)
        np.testing.assert_array_equal(file.read(part), file.read(box)[part])

    def test_grains_are_those_of_the_first_increment_in_the_order_of_the_cells(self, path):
        _, grain, _ = write_damask(path)
        result = read_result(str(path), "file")
        assert result.increments == (0, 9, 10)
        labels, cells = grains_of(str(path), "file", result, result.phases.index("B"))
        np.testing.assert_array_equal(labels, grain - 1)
        assert cells == [(grain == 1).sum(), (grain == 2).sum()]

    def test_an_earlier_increment_is_undeformed(self, path):
        write_damask(path)
        file = open_field(str(path), "defects[0]", mask="A", increment=9)
        values = file.read(tuple(slice(0, count) for count in CELLS))[file.lit]
        np.testing.assert_allclose(values, np.broadcast_to(GRAINS[0], values.shape), atol=1e-15)

    def test_what_is_not_clear_is_asked_for(self, path):
        write_damask(path)
        refused(path, "name the phase that is this crystal, of A, B", "mask")
        refused(path, "is no phase of this result; there are A, B", "mask", mask="C")
        refused(path, "2 grains, by the orientation at increment 0, of", "grain", mask="B")
        refused(path, "must be from 0 to 1", "grain", mask="B", grain=2)
        refused(path, "there are 0, 9, 10", "increment", mask="A", increment=3)
        refused(path, "F holds the slip", "quantity", mask="A", quantity="u")
        refused(path, "means nothing to a DAMASK result", "dataset", mask="A", dataset="F")

    def test_results_without_the_lattice_part_say_what_to_write(self, path):
        write_damask(path, fields=("F", "O"))
        refused(path, r"has F, which holds the slip too, but no F_e; let DAMASK write it", "file")
        write_damask(path, fields=())
        refused(path, r"has no F_e; let DAMASK write it: output: \[F, F_e", "file")
        with h5py.File(path, "w") as file:
            file.attrs["DADF5_version_major"] = 1
        refused(path, "geometry", "file")

    def test_meshes_and_several_constituents_are_refused(self, path):
        write_damask(path, mesh=True)
        refused(path, r"of a mesh; .* lattice_F of shape \(nx, ny, nz, 3, 3\)", "file")
        write_damask(path, constituents=2)
        refused(path, "2 constituents in a cell", "file")


class TestXdmf:
    def points(self, shape=(5, 4, 3)):
        axes = [0.3 * np.arange(n) - k for k, n in enumerate(shape)]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)

    def test_points_are_read_in_any_order(self, tmp_path):
        path, points = tmp_path / "field.xdmf", self.points()
        order = RNG.permutation(len(points))
        write_xdmf(path, points[order], TENSORS.reshape(-1, 3, 3)[order])
        file = open_field(str(path), "defects[0]")
        np.testing.assert_allclose(file.grid.origin, [0.0, -1.0, -2.0])
        np.testing.assert_allclose(file.grid.spacing, 0.3)
        assert file.grid.shape == (5, 4, 3)
        assert not file.has_orientation
        np.testing.assert_array_equal(file.read(WHOLE), TENSORS)
        np.testing.assert_array_equal(file.read(PART), TENSORS[PART])

    def test_a_pair_of_files_that_has_been_renamed_together_is_read(self, tmp_path):
        path = tmp_path / "field.xdmf"
        write_xdmf(path, self.points(), TENSORS.reshape(-1, 3, 3))
        path.rename(tmp_path / "other.xdmf")
        (tmp_path / "field.h5").rename(tmp_path / "other.h5")
        file = open_field(str(tmp_path / "other.xdmf"), "defects[0]")
        np.testing.assert_array_equal(file.read(WHOLE), TENSORS)
        (tmp_path / "other.h5").unlink()
        refused(tmp_path / "other.xdmf", "names the file field.h5, which is not beside it", "file")

    def test_points_that_make_no_grid_are_refused(self, tmp_path):
        path, points = tmp_path / "field.xdmf", self.points()
        tensors = TENSORS.reshape(-1, 3, 3)
        uneven = points + 0.1 * (points[:, :1] > 0.5) * [1.0, 0.0, 0.0]
        for wrong, match in (
            (uneven, "not evenly spaced along x"),
            (points[:-1], "59 points, and 5 × 4 × 3 fill its grid"),
            (np.where(points == points.max(0), np.nan, points), "points that are nowhere"),
            (np.concatenate([points[:1], points[:-1]]), "twice"),
        ):
            write_xdmf(path, wrong, tensors[: len(wrong)])
            refused(path, match, "file")

    def test_text_that_is_no_xdmf_is_refused(self, tmp_path):
        path = tmp_path / "field.xdmf"
        for text, match in (
            ("<Xdmf>", "is no XDMF"),
            ('<!DOCTYPE a [<!ENTITY b "c">]><Xdmf>&b;</Xdmf>', "entities"),
            ("<Xdmf/>", "must list its points"),
        ):
            path.write_text(text)
            refused(path, match, "file")
        refused(tmp_path / "none.xdmf", "cannot be read", "file")


def save(path, **arrays):
    """Arrays in the format that the name says."""
    if path.suffix == ".npz":
        np.savez(path, **arrays)
        return
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values


@pytest.mark.parametrize("name", ["field.npz", "field.h5"])
class TestArrays:
    def test_what_they_are_follows_from_their_names(self, tmp_path, name):
        path = tmp_path / name
        for array, quantity in (("F", "lattice_F"), ("lattice_F", "lattice_F"), ("beta", "beta")):
            save(path, **{array: TENSORS}, origin_um=[1.0, 2.0, 3.0], spacing_um=0.5)
            file = open_field(str(path), "defects[0]")
            assert (file.quantity, file.name, file.has_orientation) == (quantity, array, False)
            assert file.grid.origin.tolist() == [1.0, 2.0, 3.0]
            assert file.grid.spacing.tolist() == [0.5, 0.5, 0.5]
            np.testing.assert_array_equal(file.read(PART), TENSORS[PART])
        assert is_field(path)

    def test_tensors_may_be_flat_and_grids_in_a_plane(self, tmp_path, name):
        path = tmp_path / name
        save(path, beta=TENSORS.reshape(5, 4, 3, 9))
        np.testing.assert_array_equal(open_field(str(path), "d").read(PART), TENSORS[PART])
        for plane in (TENSORS[:, :, 0], TENSORS[:, :, 0].reshape(5, 4, 9)):
            save(path, beta=plane)
            file = open_field(str(path), "d")
            assert file.grid.shape == (5, 4, 1)
            box = (slice(1, 3), slice(0, 4), slice(0, 1))
            np.testing.assert_array_equal(file.read(box), TENSORS[1:3, :, :1])

    def test_orientations_come_with_their_strain(self, tmp_path, name):
        path, strain = tmp_path / name, TENSORS + np.swapaxes(TENSORS, -1, -2)
        save(path, orientation=TENSORS[..., :4, 0:1].repeat(2, -1)[..., :1], strain=strain)
        refused(path, "orientation needs", "file")
        save(path, orientation=RNG.normal(size=(5, 4, 3, 4)), strain=strain)
        file = open_field(str(path), "defects[0]")
        assert file.has_orientation
        assert file.read(PART).shape == (3, 2, 2, 4)
        np.testing.assert_array_equal(file.read_strain(PART), strain[PART])
        save(path, orientation=TENSORS, strain=strain[1:])
        refused(path, r"strain has the shape \(4, 4, 3, 3, 3\), and orientation", "file")

    def test_a_mask_lets_one_grain_diffract(self, tmp_path, name):
        path, grains = tmp_path / name, RNG.integers(0, 3, (5, 4, 3))
        save(path, beta=TENSORS, grains=grains)
        file = open_field(str(path), "defects[0]", mask="grains")
        np.testing.assert_array_equal(file.lit, grains > 0)
        file = open_field(str(path), "defects[0]", mask="grains", grain=2)
        np.testing.assert_array_equal(file.lit, grains == 2)
        refused(path, "is nowhere in grains", "grain", mask="grains", grain=7)
        refused(path, "is no array of the file; there are beta, grains", "mask", mask="no")
        refused(path, "needs mask", "grain", grain=1)

    def test_what_is_not_clear_is_refused(self, tmp_path, name):
        path = tmp_path / name
        save(path, beta=TENSORS, u=TENSORS[..., 0])
        refused(path, "the file names beta, u", "dataset")
        assert open_field(str(path), "d", quantity="u").quantity == "u"
        assert open_field(str(path), "d", dataset="u").quantity == "u"
        refused(path, "there are beta, u", "dataset", dataset="v")
        refused(path, "means nothing", "increment", increment=1, quantity="u")
        save(path, other=TENSORS)
        refused(path, "the file names none", "dataset")
        refused(path, "does not tell what other is", "quantity", dataset="other")
        assert open_field(str(path), "d", dataset="other", quantity="beta").quantity == "beta"
        save(path, beta=TENSORS[0, 0])
        refused(path, r"beta has the shape \(3, 3, 3\); beta needs \(nx, ny, nz, 3, 3\)", "file")
        save(path, beta=TENSORS, spacing_um=[1.0, 2.0])
        refused(path, "spacing_um is neither one number nor three", "file")


def test_groups_and_units_of_hdf5_are_followed(tmp_path):
    path = tmp_path / "field.h5"
    with h5py.File(path, "w") as file:
        file["run/u"] = TENSORS[..., 0]
        file["run/u"].attrs["units"] = "nm"
        file["run/spacing_um"] = 0.2
    file = open_field(str(path), "defects[0]", dataset="run/u")
    np.testing.assert_allclose(file.read(PART), 1e-3 * TENSORS[PART][..., 0], rtol=1e-15)
    assert file.grid.spacing.tolist() == [0.2, 0.2, 0.2]
    with h5py.File(path, "a") as file:
        file["run/u"].attrs["units"] = "s"
    refused(path, "'s', which is no length", "file", dataset="run/u")


def test_archives_that_are_none_are_refused(tmp_path):
    path = tmp_path / "field.npz"
    path.write_bytes(b"PK\x03\x04 no archive")
    refused(path, "is no readable .npz", "file")
    # Before anything that only a file could mean.
    for name in ("none.npz", "none.hdf5", "none.xdmf"):
        refused(tmp_path / name, "[nN]o such file", "file", increment=4)
    np.savez(path, beta=np.array([{}], dtype=object))
    refused(path, "the file names none", "dataset")
