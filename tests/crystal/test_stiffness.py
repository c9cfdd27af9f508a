import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.stiffness import (
    averages,
    check_positive,
    completed,
    symmetrised,
    tensor_of,
    turned_tensor,
    voigt_matrix,
    zener_ratio,
)

HEXAGONAL, TETRAGONAL = UnitCell.hexagonal(4.9, 5.4), UnitCell(4.6, 4.6, 3.0, 90, 90, 90)


def isotropic(bulk, shear):
    matrix = np.zeros((6, 6))
    matrix[:3, :3] = bulk - 2 * shear / 3
    return matrix + np.diag([2 * shear] * 3 + [shear] * 3)


@pytest.mark.parametrize(
    ("space_group", "cell", "free"),
    [
        # Nye (1957), table 9: how many constants each crystal class has.
        ("F m -3 m", UnitCell.cubic(4.0), "c11, c12, c44"),
        ("P 63 m c", HEXAGONAL, "c11, c12, c13, c33, c44"),
        ("P 31 2 1", HEXAGONAL, "c11, c12, c13, c14, c33, c44"),
        ("R -3 m:H", HEXAGONAL, "c11, c12, c13, c14, c33, c44"),
        ("P -3", HEXAGONAL, "c11, c12, c13, c14, c15, c33, c44"),
        ("P 42/m n m", TETRAGONAL, "c11, c12, c13, c33, c44, c66"),
        ("P 4/m", TETRAGONAL, "c11, c12, c13, c16, c33, c44, c66"),
        (
            "P n m a",
            UnitCell(4, 5, 6, 90, 90, 90),
            "c11, c12, c13, c22, c23, c33, c44, c55, c66",
        ),
        (
            "P 1 21/c 1",
            UnitCell(4, 5, 6, 90, 100, 90),
            "c11, c12, c13, c15, c22, c23, c25, c33, c35, c44, c46, c55, c66",
        ),
    ],
)
def test_free_constants_are_those_of_the_crystal_class(space_group, cell, free):
    with pytest.raises(ValueError, match=f"lacks {free}; the constants of {space_group} are"):
        completed({}, space_group, cell)


def test_trigonal_constants_make_the_matrix_of_the_textbooks():
    given = {"c11": 87.0, "c12": 7.0, "c13": 12.0, "c14": -18.0, "c33": 106.0, "c44": 58.0}
    c = completed(given, "P 31 2 1", HEXAGONAL)
    wanted = np.array(
        [
            [87, 7, 12, -18, 0, 0],
            [7, 87, 12, 18, 0, 0],
            [12, 12, 106, 0, 0, 0],
            [-18, 18, 0, 58, 0, 0],
            [0, 0, 0, 0, 58, -18],
            [0, 0, 0, 0, -18, 40],
        ]
    )
    assert np.abs(c - wanted).max() < 1e-11
    third = Rotation.from_rotvec([0, 0, 2 * np.pi / 3]).as_matrix()
    assert np.abs(turned_tensor(tensor_of(c), third) - tensor_of(c)).max() < 1e-11
    # The other choice of axes, a half turn about c, is not one of the symmetries.
    half = Rotation.from_rotvec([0, 0, np.pi]).as_matrix()
    assert voigt_matrix(turned_tensor(tensor_of(c), half))[0, 3] == pytest.approx(18)


def test_constants_that_symmetry_fixes_may_be_given_if_they_agree():
    given = {"c11": 87.0, "c12": 7.0, "c13": 12.0, "c33": 106.0, "c44": 58.0}
    plain = completed(given, "P 63 m c", HEXAGONAL)
    assert np.abs(completed(given | {"c66": 40.0}, "P 63 m c", HEXAGONAL) - plain).max() < 1e-10
    with pytest.raises(ValueError, match=r"not have the symmetry of P 63 m c: c\d\d is"):
        completed(given | {"c66": 60.0}, "P 63 m c", HEXAGONAL)
    with pytest.raises(ValueError, match="no constant 'c21'"):
        completed(given | {"c21": 7.0}, "P 63 m c", HEXAGONAL)


def test_a_matrix_of_other_axes_is_refused():
    cube = UnitCell.cubic(3.6)
    copper = completed({"c11": 168.4, "c12": 121.4, "c44": 75.4}, "F m -3 m", cube)
    assert np.abs(symmetrised(copper, "F m -3 m", cube) - copper).max() < 1e-12
    turn = Rotation.from_rotvec([0, 0, np.pi / 4]).as_matrix()
    turned = voigt_matrix(turned_tensor(tensor_of(copper), turn))
    with pytest.raises(ValueError, match=r"symmetry of F m -3 m: c66 is 23\.5"):
        symmetrised(turned, "F m -3 m", cube)


def test_averages_of_an_isotropic_crystal_are_its_moduli():
    found = averages(isotropic(140.0, 50.0))
    assert found.bulk == pytest.approx(140)
    assert found.shear == pytest.approx(50)
    assert found.young == pytest.approx(9 * 140 * 50 / (3 * 140 + 50))
    assert found.poisson_ratio == pytest.approx((3 * 140 - 100) / (2 * (420 + 50)))
    assert found.universal_anisotropy == pytest.approx(0, abs=1e-12)
    assert zener_ratio(isotropic(140.0, 50.0)) == pytest.approx(1)


def test_averages_do_not_depend_on_the_frame_and_agree_with_cubic_formulas():
    c11, c12, c44 = 168.4, 121.4, 75.4
    cube = UnitCell.cubic(3.6)
    copper = completed({"c11": c11, "c12": c12, "c44": c44}, "F m -3 m", cube)
    turn = Rotation.from_rotvec([0.4, -0.3, 1.2]).as_matrix()
    # Simmons & Wang (1971), page 7.
    voigt = (c11 - c12 + 3 * c44) / 5
    reuss = 5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12))
    for matrix in (copper, voigt_matrix(turned_tensor(tensor_of(copper), turn))):
        found = averages(matrix)
        assert found.shear_bounds == pytest.approx((voigt, reuss))
        assert found.bulk_bounds == pytest.approx(((c11 + 2 * c12) / 3,) * 2)
    assert zener_ratio(copper) == pytest.approx(2 * c44 / (c11 - c12))
    assert zener_ratio(completed({"c11": 5.0, "c12": 1.0, "c13": 1.5, "c33": 6.0, "c44": 2.0},
                                 "P 63 m c", HEXAGONAL)) is None  # fmt: skip


def test_the_soft_strain_is_named():
    with pytest.raises(ValueError, match=r"= .*, .* has a modulus of -13 GPa"):
        check_positive(
            completed({"c11": 168.4, "c12": 181.4, "c44": 75.4}, "F m -3 m", UnitCell.cubic(3.6))
        )
