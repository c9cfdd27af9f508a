"""CIF files: what is read from them, and what is refused."""

import math
import re
from pathlib import Path

import gemmi
import numpy as np
import pytest

from weakbeam.crystal.cif import read_cif
from weakbeam.crystal.materials import extinction_reason, material
from weakbeam.crystal.structure_factor import anomalous_terms, structure_factors
from weakbeam.crystal.symmetry import expand_sites

DATA = Path(__file__).parents[1] / "data"
FILES = sorted(path.stem for path in DATA.glob("*.cif"))
ENERGY = 17.0
HKL = [(1, 1, 1), (2, 0, 0), (0, 0, 2), (1, 0, 1), (1, 0, -2), (3, 1, 1), (0, 1, 2), (1, 1, 6)]


def changed(tmp_path, *changes, name="quartz"):
    """A file of the data with patterns replaced."""
    text = (DATA / f"{name}.cif").read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text, flags=re.M)
        assert count, pattern
    path = tmp_path / "changed.cif"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", FILES)
def test_structure_factors_are_those_of_gemmi(name):
    """gemmi's own reading, expansion and sum; it leaves the anomalous terms out."""
    block = gemmi.cif.read_file(str(DATA / f"{name}.cif"))[-1]
    small = gemmi.make_small_structure_from_block(block)
    crystal = read_cif(DATA / f"{name}.cif")
    # It wants the symmetry from the symbol alone and special positions to the last digit.
    small.spacegroup = gemmi.find_spacegroup_by_name(crystal.space_group)
    for site, ours in zip(small.sites, crystal.sites, strict=True):
        site.fract = gemmi.Fractional(*ours.position)
        site.charge = 0
    small.setup_cell_images()
    small.change_occupancies_to_crystallographic()
    calculator = gemmi.StructureFactorCalculatorX(small.cell)
    for site in small.sites:
        calculator.addends.set(site.element, anomalous_terms(site.element.name, ENERGY)[0])
    for hkl in HKL:
        ours = complex(
            structure_factors(crystal.cell, crystal.space_group, crystal.sites, hkl, ENERGY)
        )
        theirs = calculator.calculate_sf_from_small_structure(small, list(hkl))
        stol2 = (0.5 / crystal.cell.d_spacing(hkl)) ** 2
        for site, (element, positions) in zip(
            crystal.sites, expand_sites(crystal.space_group, crystal.sites), strict=True
        ):
            weight = site.occupancy * math.exp(-site.b_factor * stol2)
            phases = np.exp(2j * math.pi * positions @ hkl).sum()
            ours -= 1j * anomalous_terms(element, ENERGY)[1] * weight * phases
        assert ours == pytest.approx(theirs, abs=1e-4 * abs(theirs) + 1e-3)


def test_there_are_six_files_for_the_comparison():
    assert len(FILES) == 6


def test_the_numbers_of_atoms_fit_the_formula():
    counts = {
        name: [
            len(positions)
            for _, positions in expand_sites(
                read_cif(DATA / f"{name}.cif").space_group, read_cif(DATA / f"{name}.cif").sites
            )
        ]
        for name in FILES
    }
    assert counts == {
        "aluminium": [4],
        "aluminium_p1": [1, 1, 1, 1],
        "gallium_nitride": [2, 2],
        "halite": [4, 4],
        "quartz": [3, 6],
        "ruby": [12, 12, 18],
    }


def test_quartz_has_its_bond_lengths():
    crystal = read_cif(DATA / "quartz.cif")
    (_, silicon), (_, oxygen) = expand_sites(crystal.space_group, crystal.sites)
    steps = (oxygen - silicon[0] + 0.5) % 1.0 - 0.5
    distances = np.sort(np.linalg.norm(crystal.cell.direction(steps), axis=-1))
    np.testing.assert_allclose(distances[:4], [1.605, 1.605, 1.614, 1.614], atol=2e-3)


def test_occupancy_ion_and_temperature_factor():
    aluminium, chromium, _ = read_cif(DATA / "ruby.cif").sites
    assert (aluminium.occupancy, chromium.occupancy) == (0.98, 0.02)
    sodium, _ = read_cif(DATA / "halite.cif").sites
    assert sodium.element == "Na"
    assert sodium.b_factor == pytest.approx(8 * math.pi**2 * 0.0219)
    assert read_cif(DATA / "aluminium.cif").sites[0].b_factor == pytest.approx(0.86)


def test_anisotropic_displacements_are_averaged(tmp_path):
    """In a hexagonal cell U11 = U22 = 2 U12 is isotropic in the plane."""
    loop = (
        "\nloop_\n_atom_site_aniso_label\n_atom_site_aniso_U_11\n_atom_site_aniso_U_22\n"
        "_atom_site_aniso_U_33\n_atom_site_aniso_U_12\n_atom_site_aniso_U_13\n"
        "_atom_site_aniso_U_23\nSi1 0.006 0.006 0.012 0.003 0 0\n"
    )
    path = changed(tmp_path, (r"\Z", loop))
    silicon, oxygen = read_cif(path).sites
    assert silicon.b_factor == pytest.approx(8 * math.pi**2 * (0.006 + 0.006 + 0.012) / 3)
    assert oxygen.b_factor == 0.0


def test_rounded_coordinates_lie_exactly_on_their_special_positions():
    crystal = read_cif(DATA / "gallium_nitride.cif")
    for site in crystal.sites:
        assert site.position[:2] == pytest.approx((1 / 3, 2 / 3), abs=1e-15)
    for hkl in [(0, 0, 1), (1, 1, 1), (0, 0, 3)]:
        assert extinction_reason(crystal.space_group, crystal.sites, hkl) is not None
    table = material("GaN")
    np.testing.assert_allclose(
        structure_factors(crystal.cell, crystal.space_group, crystal.sites, HKL, ENERGY),
        structure_factors(table.cell, table.space_group, table.sites, HKL, ENERGY),
        atol=1e-9,
    )


def test_every_way_to_give_the_symmetry_gives_the_same(tmp_path):
    operations = r"^loop_\n_space_group_symop(.*\n)*?(?=loop_)"
    for line in (
        "_space_group_name_H-M_alt 'P 31 2 1'",
        "_symmetry_space_group_name_H-M P3121",
        "_space_group_name_Hall 'P 31 2\"'",
        "_symmetry_Int_Tables_number 152",
    ):
        path = changed(tmp_path, (operations, line + "\n"))
        assert read_cif(path).space_group == "P 31 2 1"


def test_a_block_without_a_cell_is_passed_over():
    assert read_cif(DATA / "ruby.cif").name == "Al1.96 Cr0.04 O3"


CELL = r"^_cell_length_c.*$"
OPERATIONS = (r"^loop_\n_space_group_symop(.*\n)*?(?=loop_)", "")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([(r"^_cell.*$", "")], "has no unit cell: _cell_length_a is missing"),
        ([(CELL, "")], "has no unit cell: _cell_length_c is missing"),
        ([(CELL, "_cell_length_c ?")], r"has no unit cell: _cell_length_c is \?"),
        ([(CELL, "_cell_length_c -5")], "must be positive"),
        ([OPERATIONS], "has no symmetry"),
        (
            [("_cell_length_b 4.9134", "_cell_length_b 5.1")],
            r"contradicts space group P 31 2 1 \(trigonal\): a = b",
        ),
        ([("_cell_angle_gamma 120", "_cell_angle_gamma 90")], "contradicts space group"),
        ([(r"^loop_\n_atom_site(.*\n)*", "")], "has no atoms"),
        ([("^Si1 Si", "Xx1 Xx")], "'Xx1' is of no element with"),
        ([(r"0\.4697 0 0\.3333 1", "? ? ? 1")], "'Si1' has no place"),
        ([(r"0\.3333 1$", "0.3333 1.5")], "'Si1' has the occupancy 1.5"),
        ([("'y, x, -z'", "'y, x, -q'")], "operation that cannot be read"),
        ([("'y, x, -z'\n", "")], "5 symmetry operations are those of no tabulated"),
        (
            [(r"\Z", "\n_space_group_name_H-M_alt 'P 1'\n")],
            "operations are those of P 31 2 1, its symbol says P 1",
        ),
        ([OPERATIONS, (r"\Z", "\n_space_group_name_H-M_alt 'P 7'\n")], "'P 7' is unknown"),
        ([OPERATIONS, (r"\Z", "\n_space_group_name_Hall 'Q 7'\n")], r"'Q 7' \(Hall\) is unknown"),
        ([OPERATIONS, (r"\Z", "\n_space_group_IT_number 231\n")], "number '231' is unknown"),
        (
            [OPERATIONS, (r"\Z", "\n_space_group_name_H-M_alt 'F d -3 m'\n")],
            'two choices of origin: .* "F d -3 m:1"',
        ),
        ([OPERATIONS, (r"\Z", "\n_space_group_IT_number 227\n")], "227 has two choices of origin"),
        ([(r"\Z", "\ndata_second\n_cell_length_a 3\n")], r"2 crystals \(quartz, second\)"),
        ([(r"\A", "loop_ nonsense\n")], "must be a CIF file"),
    ],
)
def test_files_that_cannot_be_used_are_told_in_one_line(changes, words, tmp_path):
    with pytest.raises(ValueError, match=words) as caught:
        read_cif(changed(tmp_path, *changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("atoms", "words"),
    [
        ("Na2 Na 0.5 0.5 0", r"Na at \(0, 0, 0\) and Na at \(0.5, 0.5, 0\) .* add up to 2;"),
        ("K1 K 0 0 0", r"Na at \(0, 0, 0\) and K at \(0, 0, 0\) .* add up to 2;"),
    ],
)
def test_atoms_of_a_file_at_the_same_place(atoms, words, tmp_path):
    path = tmp_path / "twice.cif"
    columns = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
    header = "loop_\n" + "".join(f"_atom_site_{name}\n" for name in columns)
    sites = f"{header}Na1 Na 0 0 0\nCl1 Cl 0.5 0.5 0.5\n"
    cell = "".join(f"_cell_length_{edge} 5.64\n" for edge in "abc")
    path.write_text(f"data_halite\n{cell}_space_group_name_H-M_alt 'F m -3 m'\n{sites}")
    assert len(read_cif(path).sites) == 2
    path.write_text(path.read_text() + atoms + "\n")
    with pytest.raises(ValueError, match=words):
        read_cif(path)


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02", b"hello", b"\xff\xfe"])
def test_files_that_are_none(content, tmp_path):
    path = tmp_path / "none.cif"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"CIF|unit cell"):
        read_cif(path)
    with pytest.raises(ValueError, match="must be a CIF file; this is no plain file"):
        read_cif(tmp_path)
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        read_cif(tmp_path / "missing.cif")


def test_a_stream_without_end_is_not_read():
    with pytest.raises(
        ValueError, match="must be a CIF file; this is no plain file of at most 16 MiB"
    ):
        read_cif("/dev/zero")
