"""Small files of other programs, where they are; each with what is right."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from field_files import rotation

from weakbeam.assemble import assemble
from weakbeam.crystal.orientation import rotations_of_quaternions
from weakbeam.defects.field import evaluate
from weakbeam.defects.gridded import rotation_of
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment, Grid
from weakbeam.io.field_file import open_field

GRIDS = Path(__file__).parents[3] / "shared" / "inputs" / "grids"
pytestmark = pytest.mark.skipif(not GRIDS.is_dir(), reason="the files are not here")

RESULT = GRIDS / "damask_12grains6x7x8_reduced.hdf5"


@pytest.mark.parametrize("increment", [0, 40])
@pytest.mark.parametrize("phase", ["pheno_fcc", "pheno_bcc"])
def test_rotations_of_the_lattice_part_are_the_orientations(increment, phase):
    with h5py.File(RESULT) as file:
        group = file[f"increment_{increment}/phase/{phase}/mechanical"]
        orientations = rotations_of_quaternions(group["O"][()])
    found = []
    for grain in range(6):
        file = open_field(str(RESULT), "d", None, None, increment, phase, grain)
        values = file.read(file.grid.whole)[file.lit]
        rows = file.read.index[file.lit]
        np.testing.assert_allclose(rotation_of(values), orientations[rows], rtol=0, atol=1e-12)
        found += rows.tolist()
    assert sorted(found) == list(range(len(orientations)))


def test_results_without_a_lattice_part_are_refused_in_one_line():
    for name, match in (
        ("damask_two_phase_tensionX.hdf5", "has no F_e; let DAMASK write it: output"),
        ("damask_marc_mesh_job1.hdf5", "is a DAMASK result of a mesh; .* as lattice_F"),
    ):
        with pytest.raises(InputError, match=match) as raised:
            assemble(Experiment(defects=(Grid(file=str(GRIDS / name)),)))
        assert "\n" not in str(raised.value)


def test_a_linear_rotation_is_that_everywhere():
    table = Grid(file=str(GRIDS / "darkmod_rotation_gradient.xdmf"))
    field = assemble(Experiment(defects=(table,))).defects.field()
    at = np.random.default_rng(1).uniform(-1, 1, (200, 3))
    expected = [rotation([1, 1, 1], 1e-4 * y) - np.eye(3) for y in at[:, 1]]
    # Rotations are linear to the square of their angle.
    np.testing.assert_allclose(evaluate(field, at), expected, rtol=0, atol=1e-11)


def test_a_bent_lattice_is_bent_everywhere():
    """A rotation about [1 -1 1] that cubic interpolation has exactly, away from the faces."""
    table = Grid(file=str(GRIDS / "darkmod_strain_gradient.xdmf"), interpolation="cubic")
    field = assemble(Experiment(defects=(table,))).defects.field()
    x, y, z = np.random.default_rng(1).uniform(-0.9, 0.9, (3, 200))
    angles = 5e-5 * (1.0 - x * y - x**2)
    expected = [rotation([1, -1, 1], angle) - np.eye(3) for angle in angles]
    found = evaluate(field, np.stack([x, y, z], axis=-1))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11)
