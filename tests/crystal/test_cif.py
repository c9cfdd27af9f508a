"""CIF files: what is read from them, and what is refused."""

import math
import re
from pathlib import Path

import gemmi
import numpy as np
import pytest

from weakbeam.crystal.atoms import AtomicStructure, Site, expand_sites
from weakbeam.crystal.cif import read_cif
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.materials import extinction_reason, material
from weakbeam.crystal.structure_factor import anomalous_terms, structure_factors
from weakbeam.crystal.translations import lattice_of_atoms, lattice_of_axes

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
        ours = complex(structure_factors(crystal.atomic_structure, hkl, ENERGY))
        theirs = calculator.calculate_sf_from_small_structure(small, list(hkl))
        stol2 = (0.5 / crystal.cell.d_spacing(hkl)) ** 2
        for site, (element, positions) in zip(
            crystal.sites, expand_sites(crystal.space_group, crystal.sites), strict=True
        ):
            weight = site.occupancy * math.exp(-site.b_factor * stol2)
            phases = np.exp(2j * math.pi * positions @ hkl).sum()
            ours -= 1j * anomalous_terms(element, ENERGY)[1] * weight * phases
        assert ours == pytest.approx(theirs, abs=1e-4 * abs(theirs) + 1e-3)


def test_there_are_seven_files_for_the_comparison():
    assert len(FILES) == 7


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
        "corundum_rhombohedral": [4, 6],
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
        structure_factors(crystal.atomic_structure, HKL, ENERGY),
        structure_factors(table.atomic_structure, HKL, ENERGY),
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
            r"contradicts space group F d -3 m:1 \(cubic\)",
        ),
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


# --- files of other people -----------------------------------------------------------------------

SHARED = Path(__file__).parents[3] / "shared/inputs/cif"


def written(tmp_path, *lines, symbol="F d -3 m", edges=(5.4309,) * 3, atoms=("Si1 Si 0 0 0",)):
    """A file without operations; lines stand before its atoms."""
    columns = ["label", "type_symbol", "fract_x", "fract_y", "fract_z"]
    cell = [f"_cell_length_{name} {edge}" for name, edge in zip("abc", edges, strict=True)]
    group = f"_symmetry_space_group_name_H-M '{symbol}'"
    header = ["loop_", *(f"_atom_site_{name}" for name in columns)]
    own = [line for line in lines if line.startswith("_atom_site")]
    more = [line for line in lines if not line.startswith("_atom_site")]
    path = tmp_path / "written.cif"
    path.write_text("\n".join(["data_x", *cell, group, *more, *header, *own, *atoms]) + "\n")
    return path


def numbers(path):
    crystal = read_cif(path)
    return crystal.space_group, [
        len(places) for _, places in expand_sites(crystal.space_group, crystal.sites)
    ]


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_is_passed_over(mark, tmp_path):
    path = tmp_path / "marked.cif"
    path.write_bytes((DATA / "quartz.cif").read_text().encode(mark))
    assert read_cif(path) == read_cif(DATA / "quartz.cif")


def test_rhombohedral_axes_are_told_by_the_cell(tmp_path):
    corundum = read_cif(DATA / "corundum_rhombohedral.cif")
    assert corundum.space_group == "R -3 c:R"
    number = changed(
        tmp_path,
        ("_symmetry_space_group_name_H-M .*", "_symmetry_Int_Tables_number 167"),
        name="corundum_rhombohedral",
    )
    assert read_cif(number).space_group == "R -3 c:R"
    # The same crystal on hexagonal axes: three times the atoms, (hkl) by the obverse setting.
    a = 2 * 5.128 * math.sin(math.radians(27.64))
    c = math.sqrt(9 * 5.128**2 - 3 * a**2)
    hexagonal = UnitCell.hexagonal(a, c)
    sites = [Site("Al", (0.0, 0.0, 0.3522)), Site("O", (0.3061, 0.0, 0.25))]
    for h, k, m in [(1, 0, -2), (1, 1, 0), (0, 0, 6), (1, 0, 4), (0, 0, 12), (1, 1, 3)]:
        rhombohedral = [2 * h + k + m, -h + k + m, -h - 2 * k + m]
        if rhombohedral[0] % 3:
            continue
        ours = structure_factors(
            AtomicStructure(corundum.cell, "R -3 c:R", corundum.sites),
            [n // 3 for n in rhombohedral],
            ENERGY,
        )
        theirs = structure_factors(AtomicStructure(hexagonal, "R -3 c:H", sites), (h, k, m), ENERGY)
        assert 3 * abs(ours) == pytest.approx(abs(theirs), abs=0.05)


@pytest.mark.parametrize(
    ("symbol", "place", "lines", "setting"),
    [
        ("F d -3 m", "0 0 0", ["_cell_formula_units_Z 8", "_chemical_formula_sum 'Si'"], 1),
        ("F d 3 m", "0.125 0.125 0.125",
         ["_cell_formula_units_Z 8", "_chemical_formula_sum 'Si1'"], 2),
        ("Fd-3m", "0 0 0", ["_exptl_crystal_density_diffrn 2.329"], 1),
        ("F d -3 m", "0.125 0.125 0.125", ["_exptl_crystal_density_diffrn 2.329(2)"], 2),
        ("F d -3 m", "0 0 0 8", ["_atom_site_symmetry_multiplicity"], 1),
        ("F d -3 m", "0.125 0.125 0.125 8", ["_atom_site_site_symmetry_multiplicity"], 2),
        ("F d -3 m S", "0 0 0", [], 1),
        ("F d -3 m Z", "0.125 0.125 0.125", [], 2),
        ("F d -3 m :2", "0.125 0.125 0.125", [], 2),
    ],
)  # fmt: skip
def test_the_choice_of_origin_is_told_by_the_numbers_of_atoms(
    symbol, place, lines, setting, tmp_path
):
    path = written(tmp_path, *lines, symbol=symbol, atoms=[f"Si1 Si {place}"])
    assert numbers(path) == (f"F d -3 m:{setting}", [8])


def test_the_choice_of_origin_is_told_by_the_formula(tmp_path):
    """Spinel, whose oxygen has nearly the same number in both; magnesium and aluminium swap."""
    atoms = ["Mg1 Mg 0.125 0.125 0.125", "Al1 Al 0.5 0.5 0.5", "O1 O 0.2624 0.2624 0.2624"]
    spinel = {"edges": (8.0806,) * 3, "atoms": atoms}
    path = written(tmp_path, "_chemical_formula_sum 'Mg Al2 O4'", **spinel)
    assert numbers(path) == ("F d -3 m:2", [8, 16, 32])


def test_where_nothing_tells_the_choice_of_origin_both_are_described(tmp_path):
    for lines in ([], ["_cell_formula_units_Z 5", "_chemical_formula_sum Si"]):
        with pytest.raises(ValueError, match="two choices of origin") as caught:
            read_cif(written(tmp_path, *lines, atoms=["Si1 Si 0.125 0.125 0.125"]))
        assert '"F d -3 m:1" (16 Si in the cell, 1.92 angstrom apart or more)' in str(caught.value)
        assert '"F d -3 m:2" (8 Si in the cell, 2.35 angstrom apart or more)' in str(caught.value)
    path = written(tmp_path, symbol="F d -3 m", atoms=["Si1 Si 0 0 0"])
    text = path.read_text().replace("_symmetry_space_group_name_H-M 'F d -3 m'", "")
    path.write_text(text.replace("loop_", "_symmetry_Int_Tables_number 227\nloop_"))
    with pytest.raises(ValueError, match="two choices of origin"):
        read_cif(path)


def test_an_origin_that_puts_atoms_at_the_same_place_is_none(tmp_path):
    """Equivalent by the centre of inversion of the second choice, not of the first."""
    atoms = ["Mn1 Mn 0.1 0.2 0.3", "Mn2 Mn 0.9 0.8 0.7"]
    path = written(tmp_path, symbol="P n n n", edges=(5, 6, 7), atoms=atoms)
    assert numbers(path) == ("P n n n:1", [8, 8])


@pytest.mark.parametrize(
    ("edges", "words"),
    [
        ((0.40495,) * 3, r"is 0\.40495 angstrom, .* \(for 0\.40495 nm write 4\.0495\)"),
        ((404.95,) * 3, "of 404.95, 404.95, 404.95 angstrom holds 4 atoms only"),
    ],
)
def test_a_cell_in_another_unit_is_told(edges, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        read_cif(written(tmp_path, symbol="F m -3 m", edges=edges, atoms=["Al1 Al 0 0 0"]))


@pytest.mark.parametrize("kind", ["U", "B", "beta"])
def test_tensors_of_every_kind_give_the_same_temperature_factor(kind, tmp_path):
    """An isotropic B of 0.7 in a hexagonal cell, where a tensor has an off-diagonal part."""
    b, a, c = 0.7, 4.9134, 5.4052
    star = np.array([2 / (math.sqrt(3) * a)] * 2 + [1 / c])
    cosines = np.array([[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]])
    beta = b / 4 * cosines * np.outer(star, star)
    scale = {"beta": beta, "B": b * cosines, "U": b * cosines / (8 * math.pi**2)}[kind]
    values = " ".join(
        f"{scale[i, j]:.10f}" for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    )
    tags = "".join(f"_atom_site_aniso_{kind}_{n}\n" for n in (11, 22, 33, 12, 13, 23))
    path = changed(tmp_path, (r"\Z", f"\nloop_\n_atom_site_aniso_label\n{tags}Si1 {values}\n"))
    silicon, oxygen = read_cif(path).sites
    assert silicon.b_factor == pytest.approx(b, rel=1e-6)
    assert oxygen.b_factor == 0.0


@pytest.mark.skipif(not SHARED.is_dir(), reason="inputs that are not ours")
@pytest.mark.parametrize(
    ("name", "space_group", "counts", "points", "lattice"),
    [
        ("al_p1", "P 1", [1, 1, 1, 1], 4, "cubic F"),
        ("al_primitive", "P 1", [1], 1, "rhombohedral P"),
        ("bom", "F m -3 m", [4], 4, "cubic F"),
        ("r3c_rhomb", "R -3 c:R", [4, 6], 1, "rhombohedral P"),
        ("cif_amcsd", "F m -3 m", [4, 8], 4, "cubic F"),
        ("cif_apatite", "P 1 1 21/b", [4] * 21, 1, "monoclinic P"),
        ("cif_mixed_site_4003024", "P m -3 m", [1, 1, 3, 1], 1, "cubic P"),
    ],
)
def test_foreign_files(name, space_group, counts, points, lattice):
    path = SHARED / f"{name}.cif"
    assert numbers(path) == (space_group, counts)
    crystal = read_cif(path)
    centring, _ = lattice_of_atoms(crystal.atomic_structure)
    assert len(centring) == points
    assert lattice_of_axes(crystal.cell, centring) == lattice
    if name == "cif_apatite":  # its tensors are β
        assert all(0.4 < site.b_factor < 1.6 for site in crystal.sites)


@pytest.mark.skipif(not SHARED.is_dir(), reason="inputs that are not ours")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("angstrom_nm", "for 0.40495 nm write 4.0495"),
        ("two_origin", r'"F d -3 m:2" \(8 Si in the cell, 2.35'),
        ("si_fd3m_old", r'"F d -3 m:1" \(8 Si in the cell, 2.35'),
    ],
)
def test_foreign_files_that_lack_something(name, words):
    with pytest.raises(ValueError, match=words):
        read_cif(SHARED / f"{name}.cif")
