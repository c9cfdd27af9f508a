import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium

COPPER = np.diag([168.4] * 3 + [75.4] * 3)
COPPER[:3, :3] += 121.4 * (1 - np.eye(3))


@pytest.mark.parametrize("ratio", [0.5, -1.0, float("nan"), 7.0])
def test_an_impossible_poisson_ratio_is_refused(ratio):
    with pytest.raises(ValueError, match=f"poisson_ratio {ratio} is not between -1 and 0.5"):
        IsotropicMedium(ratio)


def test_the_tensor_of_a_cubic_medium_has_its_constants_at_their_places():
    c = AnisotropicMedium(COPPER).stiffness
    assert c[0, 0, 0, 0] == c[2, 2, 2, 2] == 168.4
    assert c[0, 0, 1, 1] == c[2, 2, 0, 0] == 121.4
    assert c[0, 1, 0, 1] == c[1, 0, 0, 1] == c[1, 2, 2, 1] == 75.4
    assert np.count_nonzero(c) == 21


def test_matrix_and_tensor_make_the_same_medium():
    medium = AnisotropicMedium(COPPER)
    assert np.array_equal(medium.matrix, COPPER)
    assert AnisotropicMedium(medium.stiffness) == medium
    assert hash(AnisotropicMedium(medium.stiffness)) == hash(medium)
    assert medium != AnisotropicMedium(COPPER * (1 + 1e-15))
    assert medium != IsotropicMedium(0.3)


def test_a_turned_medium_stores_the_energy_of_the_strain_turned_with_it():
    turn = Rotation.from_rotvec([0.3, -1.1, 0.6]).as_matrix()
    rng = np.random.default_rng(3)
    strain = rng.normal(size=(3, 3))
    strain += strain.T
    medium = AnisotropicMedium(COPPER)
    energies = [
        np.einsum("ij,ijkl,kl", e, m.stiffness, e)
        for m, e in ((medium, strain), (medium.turned(turn), turn @ strain @ turn.T))
    ]
    assert energies[0] == pytest.approx(energies[1], rel=1e-13)
    assert np.abs(medium.turned(turn).matrix - COPPER).max() > 10
    cube = Rotation.from_rotvec([0, 0, np.pi / 2]).as_matrix()
    assert np.abs(medium.turned(cube).matrix - COPPER).max() < 1e-12


def test_an_isotropic_medium_is_the_same_in_every_frame():
    medium = IsotropicMedium(0.3)
    assert medium.turned(Rotation.from_rotvec([1, 2, 3]).as_matrix()) is medium


@pytest.mark.parametrize(
    ("stiffness", "complaint"),
    [
        (np.eye(5), "6 rows of 6"),
        (np.zeros((3, 3, 3)), "shape"),
        (COPPER + np.eye(6, k=1), "symmetric; c12 is 122.4 and c21 121.4"),
        (COPPER - 60 * np.eye(6), "positive definite"),
        (np.where(np.eye(6, dtype=bool), np.nan, COPPER), "finite"),
        (np.arange(81.0).reshape(3, 3, 3, 3), "indices of a pair"),
    ],
)
def test_constants_of_no_medium_are_refused_in_one_line(stiffness, complaint):
    with pytest.raises(ValueError, match=complaint) as error:
        AnisotropicMedium(stiffness)
    assert "\n" not in str(error.value)


def test_constants_cannot_be_changed():
    medium = AnisotropicMedium(COPPER)
    with pytest.raises(ValueError, match="read-only"):
        medium.stiffness[0, 0, 0, 0] = 1.0
