"""Elasticity of the crystal of an experiment file."""

import numpy as np
import pytest
from media import MEDIA, trigonal

from weakbeam.assemble.crystal import crystal_of
from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment

COPPER = "{ c11 = 168.4, c12 = 121.4, c44 = 75.4 }"


def crystal(text):
    return crystal_of(Experiment.from_toml_text(f"defects = []\n[crystal]\n{text}"))


def anisotropic(text):
    return crystal(f'elasticity = "anisotropic"\n{text}')


def test_the_default_is_isotropic():
    found = crystal('material = "Cu"')
    assert found.medium == IsotropicMedium(0.34)
    assert found.elastic_lines == ("elasticity: isotropic, Poisson ratio 0.34",)


@pytest.mark.parametrize("name", ["Al", "Cu", "Fe", "W", "GaN"])
def test_constants_of_a_material(name):
    mount = "x_axis = [1, 0, 0]"
    found = anisotropic(f'material = "{name}"\n{mount}').medium
    np.testing.assert_allclose(found.matrix, MEDIA[name].matrix, rtol=1e-12, atol=1e-10)


def test_constants_of_quartz_have_the_axes_of_the_table():
    found = anisotropic('material = "quartz"\nx_axis = [1, 0, 0]').medium
    wanted = trigonal(86.8, 7.04, 11.91, -18.04, 105.75, 58.2)
    np.testing.assert_allclose(found.matrix, wanted.matrix, rtol=1e-12, atol=1e-10)


def test_own_constants_by_name_or_as_a_matrix():
    rows = MEDIA["Cu"].matrix.tolist()
    named = anisotropic(f'material = "Al"\nstiffness_GPa = {COPPER}')
    by_rows = anisotropic(f'material = "Al"\nstiffness_GPa = {rows}')
    for found in (named, by_rows):
        np.testing.assert_allclose(found.medium.matrix, rows, rtol=1e-13, atol=1e-12)
    assert named.poisson_ratio == pytest.approx(0.345, abs=1e-3)
    first, second = named.elastic_lines
    assert "c11 168.4, c12 121.4, c44 75.4 GPa; Zener ratio 3.21" in first
    assert "Poisson ratio 0.345" in second


def test_own_constants_tell_the_poisson_ratio_of_an_isotropic_crystal():
    found = crystal(f'material = "Al"\nstiffness_GPa = {COPPER}').medium
    assert isinstance(found, IsotropicMedium)
    assert found.poisson_ratio == pytest.approx(0.345, abs=1e-3)
    told = crystal(f'material = "Al"\npoisson_ratio = 0.3\nstiffness_GPa = {COPPER}')
    assert told.medium == IsotropicMedium(0.3)
    own = 'cell = { a = 3.6 }\nspace_group = "F m -3 m"'
    assert crystal(f"{own}\nstiffness_GPa = {COPPER}").poisson_ratio == pytest.approx(0.345, 1e-2)


def test_a_cif_file_with_constants(tmp_path):
    file = tmp_path / "copper.cif"
    file.write_text(
        "data_Cu\n_cell_length_a 3.6\n_cell_length_b 3.6\n_cell_length_c 3.6\n"
        "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 90\n"
        "_space_group_name_H-M_alt 'F m -3 m'\nloop_\n_atom_site_label\n"
        "_atom_site_type_symbol\n_atom_site_fract_x\n_atom_site_fract_y\n_atom_site_fract_z\n"
        "Cu Cu 0 0 0\n"
    )
    found = anisotropic(f"cif = '{file}'\nstiffness_GPa = {COPPER}").medium
    assert isinstance(found, AnisotropicMedium)


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("stiffness_GPa = { c11 = 100.0 }", "stiffness_GPa", "lacks c12, c44"),
        ("stiffness_GPa = { c11 = 1, c12 = 2, c44 = 1 }", "stiffness_GPa", "positive definite"),
        (
            "stiffness_GPa = { c11 = 168.4, c12 = 121.4, c44 = 75.4, c55 = 70.0 }",
            "stiffness_GPa",
            "does not have the symmetry of F m -3 m",
        ),
        (f"stiffness_GPa = {MEDIA['GaN'].matrix.tolist()}", "stiffness_GPa", "symmetry of F m -3"),
        (f"stiffness_GPa = {np.triu(np.ones((6, 6))).tolist()}", "stiffness_GPa", "symmetric"),
        (
            'cell = { a = 4.0, c = 5.0 }\nspace_group = "P 4/m m m"\nx_axis = [1, 0, 0]',
            "elasticity",
            "missing",
        ),
    ],
)
def test_constants_that_do_not_fit_are_refused_in_one_line(text, key, said):
    material = "" if "cell" in text else 'material = "Cu"\n'
    with pytest.raises(InputError, match=said) as raised:
        anisotropic(material + text)
    assert raised.value.key in (f"crystal.{key}", "crystal.stiffness_GPa")
    assert "\n" not in str(raised.value)


def test_a_material_in_a_cell_of_other_symmetry_needs_its_own_constants():
    text = 'material = "Ti"\nspace_group = "P 3 m 1"\nx_axis = [1, 0, 0]\n'
    assert isinstance(anisotropic(text).medium, AnisotropicMedium)
    cubic = 'material = "rutile"\ncell = { a = 4.6 }\nspace_group = "P m -3 m"\n'
    with pytest.raises(InputError, match="does not have the symmetry of P m -3 m") as raised:
        anisotropic(cubic)
    assert raised.value.key == "crystal.elasticity"
