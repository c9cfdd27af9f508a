"""Crystals, orientations and slip systems of the experiment file."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from weakbeam.assemble import assemble, assemble_all
from weakbeam.assemble.crystal import crystal_of, slip_systems_of
from weakbeam.assemble.inputs import fingerprint_of
from weakbeam.assemble.orientation import orientation_of
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import sample_from_crystal_euler
from weakbeam.errors import InputError
from weakbeam.experiment import Crystal, Dislocation, Experiment, Reflection

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parents[1] / "data"
PAGE = (ROOT / "docs/how-to/crystals.md").read_text(encoding="utf-8")
DEFAULT = Experiment()
QUARTZ = {"cif": str(DATA / "quartz.cif"), "poisson_ratio": 0.08}
HEXAGONAL = UnitCell.hexagonal(3.2094, 5.2107)
OWN = """
cell = { a = 5.431, b = 5.431, c = 5.431, alpha = 90, beta = 90, gamma = 90 }
space_group = "F d -3 m:2"
poisson_ratio = 0.22
x_axis = [1, -1, 0]
"""
OBLIQUE = Reflection(hkl=(-1, -1, 3), geometry="oblique")


def experiment(crystal="", reflection="hkl = [0, 0, 2]", defects=""):
    text = f"[crystal]\n{crystal}\n[reflection]\n{reflection}\n{defects or 'defects = []'}"
    head = "" if defects else "defects = []\n"
    return Experiment.from_toml_text(head + text.removesuffix("defects = []"))


def mistake(build, *arguments):
    with pytest.raises(InputError) as caught:
        build(*arguments)
    assert "\n" not in str(caught.value)
    return caught.value


# --- where the crystal comes from ----------------------------------------------------------------


def test_a_cif_file_gives_cell_symmetry_atoms_and_name():
    quartz = Experiment(crystal=Crystal(**QUARTZ), reflection=Reflection(hkl=(1, 0, 1)), defects=())
    crystal = assemble(quartz).crystal
    assert (crystal.name, crystal.space_group, crystal.files) == (
        "Si O2",
        "P 31 2 1",
        (QUARTZ["cif"],),
    )
    assert crystal.cell.c == 5.4052
    assert [site.element for site in crystal.sites] == ["Si", "O"]
    files = fingerprint_of(quartz).files
    assert files.keys() == {QUARTZ["cif"]}
    assert len(files[QUARTZ["cif"]]) == 64


ALUMINIUM = DATA / "aluminium.cif"
FOUR_ATOMS = DATA / "aluminium_p1.cif"
EDGE = "[[defects]]\nplane = [1, 1, 1]\nburgers = [1, 0, -1]\ncharacter_deg = 0\n"


def from_file(path, more="", **keys):
    return experiment(f'cif = "{path}"\npoisson_ratio = 0.334\nx_axis = [1, 1, 0]\n{more}', **keys)


@pytest.mark.parametrize("structure", ["", 'structure = "fcc"'])
@pytest.mark.parametrize("more", ["", "burgers_nm = 0.2863", 'burgers_fraction = "1/2"'])
def test_four_atoms_in_p_1_have_the_dislocations_of_fcc(structure, more):
    ours = assemble(from_file(FOUR_ATOMS, structure, defects=EDGE + more))
    table = assemble(from_file(ALUMINIUM, structure, defects=EDGE + more))
    vector = ours.dislocations[0].line.burgers_vector
    assert 1000.0 * np.linalg.norm(vector) == pytest.approx(0.2863, abs=5e-5)
    np.testing.assert_allclose(vector, table.dislocations[0].line.burgers_vector, rtol=1e-3)
    assert ours.crystal.space_group == "P 1"
    assert ours.crystal.structure == table.crystal.structure
    (note,) = ours.crystal.notes
    assert "(0, 1/2, 1/2)" in note
    assert "P 1 says nothing: the lattice is cubic F" in note
    assert table.crystal.notes == ()


def test_four_atoms_in_p_1_have_the_slip_systems_and_extinctions_of_fcc():
    fcc = 'structure = "fcc"'
    lengths = {}
    for path in (FOUR_ATOMS, ALUMINIUM):
        e = from_file(path, fcc)
        systems = slip_systems_of(e, crystal_of(e))
        lengths[path] = [np.linalg.norm(s.burgers_vector) for s in systems]
    assert lengths[FOUR_ATOMS] == pytest.approx(lengths[ALUMINIUM], rel=1e-3)
    assert len(lengths[FOUR_ATOMS]) == 12
    error = mistake(assemble, from_file(FOUR_ATOMS, reflection="hkl = [0, 0, 1]"))
    assert "extinct" in str(error)
    error = mistake(assemble, from_file(FOUR_ATOMS, 'structure = "bcc"'))
    assert "needs a cubic I lattice, the crystal has cubic F" in str(error)
    # Half of [1 1 1] is none of its lattice vectors, half of [1 1 0] is.
    words = 'partial = false\nburgers_fraction = "1/2"\nline = [1, 0, 0]\n'
    error = mistake(
        assemble, from_file(FOUR_ATOMS, defects=f"[[defects]]\nburgers = [1, 1, 1]\n{words}")
    )
    assert "is no lattice vector" in str(error)


def test_a_list_of_atoms_tells_the_lattice_as_a_file_does():
    atoms = [{"element": "Fe", "position": place} for place in ((0.0, 0.0, 0.0), (0.5, 0.5, 0.5))]
    cell = {"a": 2.8665, "b": 2.8665, "c": 2.8665, "alpha": 90.0, "beta": 90.0, "gamma": 90.0}
    crystal = Crystal(
        cell=cell, space_group="P m -3 m", atoms=atoms, poisson_ratio=0.29, structure="bcc"
    )
    e = Experiment(crystal=crystal, reflection=Reflection(hkl=(0, 0, 2)), defects=())
    systems = slip_systems_of(e, crystal_of(e))
    assert {round(1e3 * np.linalg.norm(s.burgers_vector), 4) for s in systems} == {0.2482}
    # Of another element in the middle, it is primitive.
    other = crystal.replace(atoms=[atoms[0], {**atoms[1], "element": "Al"}], structure=None)
    assert crystal_of(e.model_copy(update={"crystal": other})).notes == ()


@pytest.mark.parametrize(
    ("material", "group", "given", "space_group", "cell"),
    [
        ("Al", None, {"a": 4.05}, "F m -3 m", (4.05, 4.05, 4.05, 90, 90, 90)),
        ("Mg", None, {"a": 3.2, "c": 5.2}, "P 63/m m c", (3.2, 3.2, 5.2, 90, 90, 120)),
        ("Al", "I 4/m m m", {"a": 3.2, "c": 5.2}, "I 4/m m m", (3.2, 3.2, 5.2, 90, 90, 90)),
        ("Al", "P 31 2 1", {"a": 3.2, "c": 5.2}, "P 31 2 1", (3.2, 3.2, 5.2, 90, 90, 120)),
        ("Al", "R -3 c", {"a": 3.2, "c": 5.2}, "R -3 c:H", (3.2, 3.2, 5.2, 90, 90, 120)),
        ("Al", "167", {"a": 3.2, "c": 5.2}, "R -3 c:H", (3.2, 3.2, 5.2, 90, 90, 120)),
        ("Al", "R -3 c", {"a": 5.1, "alpha": 55}, "R -3 c:R", (5.1, 5.1, 5.1, 55, 55, 55)),
        ("Al", "161", {"a": 5.1, "alpha": 55}, "R 3 c:R", (5.1, 5.1, 5.1, 55, 55, 55)),
        ("Al", "P 21/c", {"a": 3, "b": 4, "c": 5, "beta": 95}, "P 1 21/c 1", (3, 4, 5, 90, 95, 90)),
        ("Al", "P 1 1 21/b", {"a": 3, "b": 4, "c": 5, "gamma": 95}, "P 1 1 21/b",
         (3, 4, 5, 90, 90, 95)),
        ("Al", "P n n n", {"a": 3, "b": 4, "c": 5}, "P n n n:1", (3, 4, 5, 90, 90, 90)),
    ],
)  # fmt: skip
def test_edges_and_angles_that_the_system_fixes_may_be_left_out(
    material, group, given, space_group, cell
):
    e = Experiment(crystal=Crystal(material=material, space_group=group, cell=given), defects=())
    assert Experiment.from_toml_text(e.to_toml()) == e
    crystal = crystal_of(e)
    assert crystal.space_group == space_group
    assert crystal.cell == UnitCell(*cell)


@pytest.mark.parametrize(
    ("keys", "key", "words"),
    [
        ('material = "Mg"\ncell = { a = 3.2 }', "crystal.cell.c",
         "missing; P 63/m m c does not fix it: give a, c"),
        ('material = "Al"\ncell = { a = 4.05, b = 4.2 }', "crystal.cell", "a = b = c"),
        ('material = "Al"\ncell = { a = 4.05, gamma = 91 }', "crystal.cell", "γ = 90°"),
        ('material = "Mg"\ncell = { a = 3.2, c = 5.2, gamma = 90 }', "crystal.cell", "γ = 120°"),
        ('material = "Al"\nspace_group = "P 21/c"\ncell = { a = 4, b = 5, c = 6 }',
         "crystal.cell.beta", "give a, b, c, beta"),
        ('material = "Al"\nspace_group = "R 3 c:R"\ncell = { a = 4, c = 9 }',
         "crystal.cell.alpha", "give a, alpha"),
        ('material = "Al"\nspace_group = "R 3 c"\ncell = { a = 4, alpha = 125 }',
         "crystal.cell", "enclose no volume"),
        ('material = "Al"\nspace_group = "P -1"\ncell = { a = 4, b = 5, c = 6 }',
         "crystal.cell.alpha", "give a, b, c, alpha, beta, gamma"),
    ],
)  # fmt: skip
def test_cells_that_lack_or_contradict_what_the_system_fixes(keys, key, words):
    error = mistake(crystal_of, experiment(keys))
    assert error.key == key
    assert words in str(error)


def test_atoms_of_a_group_with_two_origins_need_the_choice():
    keys = 'poisson_ratio = 0.22\nspace_group = "F d -3 m"\ncell = { a = 5.431 }\n'
    assert crystal_of(experiment(keys)).space_group == "F d -3 m:1"
    atoms = 'atoms = [{ element = "Si", position = [0.125, 0.125, 0.125] }]'
    error = mistake(crystal_of, experiment(keys + atoms))
    assert error.key == "crystal.space_group"
    assert 'write "F d -3 m:1" (16 Si in the cell' in str(error)
    assert crystal_of(experiment(keys + "atoms = []")).space_group == "F d -3 m:1"
    keys = keys.replace("-3 m", "-3 m:2")
    assert crystal_of(experiment(keys + atoms)).extinction_reason((2, 0, 0)) is not None


def test_magnesium_in_p_1_may_be_hcp():
    atoms = [
        {"element": "Mg", "position": place}
        for place in ((0.3333, 0.6667, 0.25), (0.6667, 0.3333, 0.75))
    ]
    cell = {"a": 3.2094, "b": 3.2094, "c": 5.2107, "alpha": 90.0, "beta": 90.0, "gamma": 120.0}
    crystal = Crystal(
        cell=cell, space_group="P 1", atoms=atoms, poisson_ratio=0.29, structure="hcp"
    )
    e = Experiment(crystal=crystal, reflection=Reflection(hkl=(0, 0, 2)), defects=())
    assert len(slip_systems_of(e, crystal_of(e))) == 30
    assert crystal_of(e).notes == ()


def test_the_digest_follows_the_contents_of_the_cif_file(tmp_path):
    digests = set()
    for place in ("0.4697", "0.4700"):
        file = tmp_path / "own.cif"
        file.write_text((DATA / "quartz.cif").read_text().replace("0.4697", place))
        crystal = Crystal(cif=str(file), poisson_ratio=0.08)
        changes = {"crystal": crystal, "defects": ()}
        digests.add(fingerprint_of(DEFAULT.model_copy(update=changes)).digest)
    assert len(digests) == 2


def test_a_reflection_that_the_atoms_cancel_is_extinct_in_a_cif_and_in_a_list_of_atoms():
    atoms = 'atoms = [{ element = "Si", position = [0.125, 0.125, 0.125] }]'
    error = mistake(assemble, experiment(OWN + atoms, "hkl = [2, 2, 2]"))
    assert error.key == "reflection.hkl"
    assert "extinct (the atoms of the cell" in str(error)
    # Without atoms only symmetry is known, and symmetry allows 222.
    assert assemble(experiment(OWN, "hkl = [2, 2, 2]")).crystal.space_group == "F d -3 m:2"
    assert "screw axis" in str(
        mistake(
            assemble,
            DEFAULT.with_settings(
                [
                    f"crystal.cif={DATA / 'quartz.cif'}",
                    "crystal.poisson_ratio=0.08",
                    "reflection.hkl=[0, 0, 1]",
                ]
            ),
        )
    )


def test_atoms_with_rounded_thirds_sit_on_their_special_positions():
    titanium = """
material = "Ti"
space_group = "P 63/m m c"
cell = { a = 2.9506, b = 2.9506, c = 4.6835, alpha = 90, beta = 90, gamma = 120 }
atoms = [{ element = "Ti", position = [0.3333, 0.6667, 0.25] }]
"""
    (site,) = crystal_of(experiment(titanium)).sites
    assert site.position == pytest.approx((1 / 3, 2 / 3, 1 / 4), abs=1e-15)


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ('{ element = "Al", position = [0.5, 0.5, 0] }', "Al at (0.5, 0.5, 0) are at the same"),
        ('{ element = "Mg", position = [0, 0, 0], occupancy = 0.4 }', "add up to 1.4; at most 1"),
    ],
)
def test_atoms_at_the_same_place_are_refused(second, words):
    first = '{ element = "Al", position = [0, 0, 0] }'
    own = OWN.replace("F d -3 m:2", "F m -3 m")
    assert len(crystal_of(experiment(f"{own}atoms = [{first}]")).sites) == 1
    error = mistake(crystal_of, experiment(f"{own}atoms = [{first}, {second}]"))
    assert error.key == "crystal.atoms"
    assert words in str(error)


def test_out_of_reach_names_the_smallest_energy():
    far = DEFAULT.with_settings(
        [f"crystal.cif={DATA / 'quartz.cif'}", "crystal.poisson_ratio=0.08"]
    ).with_settings(["reflection.hkl=[0, 0, 15]"])
    assert "needs more than 17.2 keV" in str(mistake(assemble, far))


def test_a_cif_takes_the_place_of_the_material_and_back():
    cif = DEFAULT.with_settings([f"crystal.cif={QUARTZ['cif']}", "crystal.poisson_ratio=0.08"])
    assert cif.crystal.material is None
    assert Experiment.from_toml_text(cif.to_toml()) == cif
    back = Experiment.from_toml_text(cif.to_toml()).with_settings(["crystal.material=Cu"])
    assert (back.crystal.cif, back.crystal.material) == (None, "Cu")


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('cif = "no.cif"\npoisson_ratio = 0.3', "crystal.cif", "cannot be read"),
        ('cif = "a.cif"', "crystal.poisson_ratio", "missing; a CIF file needs it"),
        (
            'cif = "a.cif"\npoisson_ratio = 0.3\nmaterial = "Al"',
            "crystal.cif",
            "give either material or cif",
        ),
        (
            'cif = "a.cif"\npoisson_ratio = 0.3\nspace_group = "P 1"',
            "crystal.cif",
            "give either space_group or cif",
        ),
        ('atoms = [{ element = "Al", position = [0, 0, 0] }]', "crystal.atoms", "need a cell"),
        (
            f'{OWN}atoms = [{{ element = "Xx", position = [0, 0, 0] }}]',
            "crystal.atoms[0].element",
            "has no tabulated form factor",
        ),
        (
            f'{OWN}atoms = [{{ element = "Si", position = [0, 0, 0], occupancy = 0 }}]',
            "crystal.atoms[0].occupancy",
            "a number from 1e-6 to 1",
        ),
        (
            f'{OWN}atoms = [{{ element = "Si" }}]',
            "crystal.atoms[0].position",
            "missing; must be three fractions",
        ),
        ('structure = "fcp"', "crystal.structure", '"fcc", "bcc", "hcp"'),
    ],
)
def test_mistakes_in_where_the_crystal_comes_from(text, key, words):
    error = mistake(lambda: assemble(experiment(text)))
    assert error.key == key
    assert words in str(error)


# --- how it is mounted ---------------------------------------------------------------------------


def turned(crystal, reflection=OBLIQUE):
    e = DEFAULT.model_copy(update={"crystal": Crystal(**crystal), "reflection": reflection})
    return orientation_of(e, crystal_of(e))


def test_every_form_gives_the_same_orientation():
    """A hexagonal crystal turned by 40 degrees about z, a from x towards y."""
    c, s = np.cos(np.radians(40.0)), np.sin(np.radians(40.0))
    expected = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    ub = expected @ HEXAGONAL.reciprocal / (2 * np.pi)
    half = np.radians(20.0)
    for given in (
        {"ub": [list(row) for row in ub]},
        {"euler_deg": (40.0, 0.0, 0.0)},
        {"euler_deg": (15.0, 0.0, 25.0)},
        {"quaternion": (np.cos(half), 0.0, 0.0, np.sin(half))},
        {"quaternion": (-3 * np.cos(half), 0.0, 0.0, -3 * np.sin(half))},
    ):
        found = turned({"material": "Mg", **given})
        np.testing.assert_allclose(found, expected, atol=1e-9)
    mount = turned({"material": "Mg", "mount": ((2, -1, 0), (0, 1, 0), (0, 0, 1))})
    np.testing.assert_allclose(mount, np.eye(3), atol=1e-12)


def test_a_measured_ub_and_a_mount_diffract_at_the_same_setting():
    cell = UnitCell.cubic(4.0495)
    mounted = Crystal(material="Al", mount=((1, 1, 0), (-1, 1, 0), (0, 0, 1)))
    turn = np.array([[1.0, 1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 2**0.5]]) / 2**0.5
    ub = turn @ cell.reciprocal / (2 * np.pi)
    measured = Crystal(material="Al", ub=tuple(map(tuple, np.round(ub, 7).tolist())))
    setups = [
        assemble(DEFAULT.model_copy(update={"crystal": crystal, "reflection": OBLIQUE}))
        for crystal in (mounted, measured)
    ]
    first, second = (setup.geometry for setup in setups)
    assert first.eta == pytest.approx(second.eta, abs=1e-6)
    np.testing.assert_allclose(first.lab_from_sample, second.lab_from_sample, atol=1e-6)
    np.testing.assert_allclose(
        setups[0].dislocations[0].line.line, setups[1].dislocations[0].line.line, atol=1e-6
    )


def test_a_fixed_orientation_serves_the_symmetric_geometry_where_the_planes_are_flat():
    euler = (25.0, 0.0, 0.0)
    crystal = Crystal(material="Al", euler_deg=euler)
    e = DEFAULT.model_copy(update={"crystal": crystal, "reflection": Reflection(hkl=(0, 0, 2))})
    expected = sample_from_crystal_euler(*np.radians(euler))
    np.testing.assert_allclose(assemble(e).sample_from_crystal, expected, atol=1e-12)


def test_a_small_lean_is_levelled_by_the_smallest_rotation():
    lean = 0.008
    found = turned({"material": "Al", "euler_deg": (30.0, lean, 0.0)}, Reflection(hkl=(0, 0, 2)))
    before = sample_from_crystal_euler(*np.radians((30.0, lean, 0.0)))
    np.testing.assert_allclose(found[2], [0.0, 0.0, 1.0], atol=1e-12)
    angle = np.arccos((np.trace(found @ before.T) - 1.0) / 2.0)
    assert np.degrees(angle) == pytest.approx(lean, rel=1e-3)


def test_planes_that_do_not_face_up_are_told_by_how_much():
    error = mistake(
        turned, {"material": "Al", "euler_deg": (0.0, 5.0, 0.0)}, Reflection(hkl=(0, 0, 2))
    )
    assert error.key == "crystal.euler_deg"
    assert "[0, 0, 2] 5 deg from z" in str(error)
    assert "crystal.x_axis" in str(error)
    down = {"material": "Al", "quaternion": (0.0, 1.0, 0.0, 0.0)}
    assert "180 deg" in str(mistake(turned, down, Reflection(hkl=(0, 0, 2))))


@pytest.mark.parametrize("geometry", ["oblique", "goniometer"])
def test_other_geometries_need_a_fixed_orientation(geometry):
    for crystal in ({}, {"x_axis": (1, 0, 0)}):
        error = mistake(turned, crystal, Reflection(hkl=(-1, -1, 3), geometry=geometry))
        assert error.key == "crystal.mount"
        assert f'"{geometry}" needs a fixed orientation' in str(error)


def test_x_axis_of_a_reflection_goes_before_that_of_the_crystal():
    found = turned({}, Reflection(hkl=(0, 0, 2), x_axis=(0, 1, 0)))
    np.testing.assert_allclose(found[0], [0.0, 1.0, 0.0], atol=1e-12)
    error = mistake(turned, {}, Reflection(hkl=(0, 0, 2), x_axis=(0, 0, 1)))
    assert error.key == "reflection.x_axis"


@pytest.mark.parametrize(
    "fixed",
    [
        "mount = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]",
        "euler_deg = [30, 0, 0]",
        "quaternion = [1, 0, 0, 0]",
        "ub = [[0.24694, 0, 0], [0, 0.24694, 0], [0, 0, 0.24694]]",
    ],
)
@pytest.mark.parametrize("header", ["[reflection]", "[[reflections]]"])
def test_x_axis_of_a_reflection_does_not_override_a_fixed_orientation(fixed, header):
    text = f"defects = []\n[crystal]\n{fixed}\n{header}\nhkl = [0, 0, 2]\n"
    assert len(assemble_all(Experiment.from_toml_text(text))) == 1
    e = Experiment.from_toml_text(text + "x_axis = [0, 1, 0]")
    error = mistake(assemble_all, e)
    key = "reflection" if header == "[reflection]" else "reflections[0]"
    assert error.key == f"{key}.x_axis"
    name = fixed.split(" = ")[0]
    assert error.allowed == f"give either crystal.{name} or {key}.x_axis"


def test_one_form_replaces_another():
    mounted = DEFAULT.with_settings(["crystal.mount=[[1,0,0],[0,1,0],[0,0,1]]"])
    assert mounted.crystal.x_axis is None
    assert Experiment.from_toml_text(mounted.to_toml()) == mounted
    resolved = Experiment.from_toml_text(mounted.to_toml())
    turned_on = resolved.with_settings(["crystal.quaternion=[1, 0, 0, 1]"])
    assert turned_on.crystal.mount is None
    assert turned_on.with_settings(["crystal.x_axis=[1, 1, 0]"]).crystal.quaternion is None


@pytest.mark.parametrize(
    ("crystal", "key", "words"),
    [
        ("mount = [[1,0,0],[0,1,0],[0,0,-1]]", "crystal.mount", "left-handed"),
        ("mount = [[1,0,0],[1,1,0],[0,0,1]]", "crystal.mount", "must be orthogonal"),
        ("mount = [[1,0,0],[0,1,0]]", "crystal.mount", "three planes, each of three integers"),
        ("mount = [[1,0,0],[0,0,0],[0,0,1]]", "crystal.mount", "three planes, each of three"),
        ("mount = [[1,0,0],[0,1.5,0],[0,0,1]]", "crystal.mount", "three planes, each of three"),
        ("ub = [[1,0,0],[0,1,0],[0,0,1]]", "crystal.ub", "the crystal has 4.0495, 4.0495"),
        ("ub = [[0.25,0,0],[0,0.25,0],[0,0,-0.25]]", "crystal.ub", "left-handed"),
        ("ub = [[0.25,0,0],[0.25,0,0],[0,0,0.25]]", "crystal.ub", "singular"),
        ("ub = [[1.5516,0,0],[0,1.5516,0],[0,0,1.5516]]", "crystal.ub", "without the factor 2π"),
        ("euler_deg = [0, 400, 0]", "crystal.euler_deg", "three angles from -360 to 360"),
        ("quaternion = [0, 0, 0, 0]", "crystal.quaternion", "not all 0"),
        ("quaternion = [1, 0, 0]", "crystal.quaternion", "four numbers w, x, y, z"),
        ("x_axis = [1, 0, 0]\neuler_deg = [0, 0, 0]", "crystal.euler_deg", "either x_axis or"),
        ("ub = [[1, 2, inf]]", "crystal.ub", "three rows of three numbers"),
    ],
)
def test_mistakes_in_the_mount(crystal, key, words):
    error = mistake(lambda: assemble(experiment(crystal)))
    assert error.key.startswith(key)
    assert words in str(error)


# --- slip systems and Burgers vectors ------------------------------------------------------------


def systems(*settings):
    e = DEFAULT.with_settings(list(settings))
    return slip_systems_of(e, crystal_of(e))


@pytest.mark.parametrize(
    ("material", "counts"),
    [
        ("Al", [12]),
        ("Fe", [12, 12, 24]),
        ("Mg", [3, 3, 6, 12, 6]),
        ("Si", [12]),
        ("GaAs", [12]),
        ("GaN", [3, 3, 6, 12, 6]),
    ],
)
def test_slip_systems_of_materials(material, counts):
    found = systems(f"crystal.material={material}")
    assert list(Counter(s.family for s in found).values()) == counts
    for s in found:
        assert sum(h * u for h, u in zip(s.system.plane, s.system.direction, strict=True)) == 0


def test_chosen_families_and_own_systems():
    families = 'crystal.slip_families=["basal"]'
    own = 'crystal.slip_systems=[{ plane = [1, 0, -1, 0], burgers = [0, 0, 0, 1], name = "c" }]'
    assert [s.family for s in systems("crystal.material=Mg", families)] == ["basal"] * 3
    assert [s.family for s in systems("crystal.material=Mg", families, own)] == ["basal"] * 3 + [
        "c"
    ]
    (only,) = systems("crystal.material=Mg", own)
    assert only.system == ((1, 0, 0), (0, 0, 1))
    np.testing.assert_allclose(only.burgers_vector, [0.0, 0.0, 5.2107e-4], atol=1e-15)


def test_own_cells_have_the_systems_of_the_structure_that_they_name():
    e = Experiment(crystal=Crystal(**QUARTZ), reflection=Reflection(hkl=(1, 0, 1)), defects=())
    error = mistake(slip_systems_of, e, crystal_of(e))
    assert error.key == "crystal.structure"
    e = e.with_settings(["crystal.structure=hcp"])
    assert len(slip_systems_of(e, crystal_of(e))) == 30


@pytest.mark.parametrize(
    ("crystal", "words"),
    [
        ('material = "Al"\nstructure = "hcp"',
         "'hcp': needs a hexagonal P lattice, the crystal has cubic F: "
         "allowed are fcc, diamond, zincblende"),
        ('material = "Al"\nstructure = "bcc"', "needs a cubic I lattice, the crystal has cubic F"),
        ('material = "Ti"\nstructure = "fcc"', "has hexagonal P: allowed are hcp, wurtzite"),
        ('material = "Fe"\nstructure = "diamond"', "has cubic I: allowed are bcc"),
        (OWN + 'structure = "wurtzite"', "needs a hexagonal P lattice"),
        (OWN.replace("F d -3 m:2", "P m -3 m") + 'structure = "fcc"',
         "has cubic P: leave it out, or give slip_systems"),
        (f'cif = "{DATA / "halite.cif"}"\npoisson_ratio = 0.2\nstructure = "hcp"',
         "needs a hexagonal P lattice, the crystal has cubic F"),
    ],
)  # fmt: skip
def test_a_structure_of_another_lattice_is_refused(crystal, words):
    error = mistake(crystal_of, experiment(crystal))
    assert error.key == "crystal.structure"
    assert words in str(error)


def test_a_structure_may_be_that_of_the_lattice():
    for name, structure in (("Al", "fcc"), ("Fe", "bcc"), ("Ti", "hcp"), ("GaN", "wurtzite")):
        text = f'material = "{name}"\nstructure = "{structure}"'
        assert crystal_of(experiment(text)).structure == structure


def test_a_material_lends_its_structure_to_its_own_lattice_only():
    cubic = OWN.replace("poisson_ratio = 0.22", 'material = "Al"')
    assert crystal_of(experiment(cubic)).structure == "fcc"
    primitive = experiment(cubic.replace("F d -3 m:2", "P m -3 m"))
    assert crystal_of(primitive).structure is None
    assert mistake(slip_systems_of, primitive, crystal_of(primitive)).key == "crystal.structure"


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ('slip_families = ["basal"]', "crystal.slip_families", "none of the families of fcc"),
        ("slip_families = []", "crystal.slip_families", "must be a list of names, at least one"),
        ("slip_families = [1]", "crystal.slip_families", "must be a list of names, at least one"),
        (
            "slip_systems = [{ plane = [1, 1, 1], burgers = [1, 1, 0] }]",
            "crystal.slip_systems[0].burgers",
            "does not lie in the plane [1, 1, 1]: hu + kv + lw must be 0",
        ),
        (
            "slip_systems = [{ plane = [1, 1, -2, 1], burgers = [1, -1, 0] }]",
            "crystal.slip_systems[0].plane",
            "four indices need hexagonal axes",
        ),
        ("slip_systems = [{ plane = [1, 1, 1] }]", "crystal.slip_systems[0].burgers", "missing"),
    ],
)
def test_mistakes_in_slip_systems(settings, key, words):
    error = mistake(lambda: assemble(experiment(settings + "\nx_axis = [1, 0, 0]")))
    assert error.key == key
    assert words in str(error)


def burgers(material, **keys):
    e = Experiment(
        crystal=Crystal(material=material),
        reflection=Reflection(hkl=(0, 0, 4)),
        defects=(Dislocation.model_validate({"line": (1, 2, 3), **keys}),),
    )
    crystal = crystal_of(e)
    (placed,) = assemble(e.with_settings(["crystal.x_axis=[1, 0, 0]"])).dislocations
    return placed, crystal.cell


def length_nm(material, **keys):
    placed, _ = burgers(material, **keys)
    return 1000.0 * np.linalg.norm(placed.line.burgers_vector)


# Lengths in nm: Hull & Bacon, Introduction to Dislocations; Hirth & Lothe, appendix 1.
@pytest.mark.parametrize(
    ("material", "direction", "tabulated"),
    [
        ("Al", (1, 1, 0), 0.286),
        ("Cu", (1, 1, 0), 0.2556),
        ("Ni", (1, 1, 0), 0.249),
        ("Au", (1, 1, 0), 0.288),
        ("Ag", (1, 1, 0), 0.289),
        ("Fe", (1, 1, 1), 0.248),
        ("W", (1, 1, 1), 0.274),
        ("Mo", (1, 1, 1), 0.2725),
        ("Si", (1, 1, 0), 0.384),
        ("Mg", (1, 1, -2, 0), 0.321),
        ("Ti", (1, 1, -2, 0), 0.295),
        ("Zn", (1, 1, -2, 3), 0.562),
    ],
)
def test_lengths_of_burgers_vectors_of_the_literature(material, direction, tabulated):
    assert length_nm(material, burgers=direction) == pytest.approx(tabulated, rel=3e-3)


def test_four_indices_are_three():
    for four, three in (((1, 1, -2, 0), (1, 1, 0)), ((2, -1, -1, 0), (1, 0, 0))):
        a, _ = burgers("Mg", burgers=four)
        b, _ = burgers("Mg", burgers=three)
        np.testing.assert_allclose(a.line.burgers_vector, b.line.burgers_vector)
        assert a.burgers == three
    a, _ = burgers("Mg", burgers=(1, 1, -2, 3), plane=(1, 1, -2, -2), line=(1, -1, 0, 0))
    assert (a.burgers, a.plane) == ((1, 1, 1), (1, 1, -2))
    line = HEXAGONAL.direction((1, -1, 0))
    crystal_line = np.linalg.norm(np.cross(a.line.line, a.line.burgers_vector))
    expected = np.cross(line / np.linalg.norm(line), HEXAGONAL.direction((1, 1, 1)) * 1e-4)
    assert crystal_line == pytest.approx(np.linalg.norm(expected))


def test_fractions_are_those_of_cell_edges():
    a = 0.40495
    assert length_nm("Al", burgers=(1, 1, 0), burgers_fraction="1/2") == pytest.approx(a / 2**0.5)
    assert length_nm("Al", burgers=(2, 2, 0), burgers_fraction="1/4") == pytest.approx(a / 2**0.5)
    assert length_nm("Al", burgers=(1, 1, 0), burgers_fraction="1") == pytest.approx(a * 2**0.5)
    shockley = length_nm("Al", burgers=(1, 1, 2), burgers_fraction="1/6", partial=True)
    assert shockley == pytest.approx(a / 6**0.5)
    third = length_nm("Mg", burgers=(1, 1, -2, 0), burgers_fraction="1/3")
    assert third == pytest.approx(0.32094)
    partial = length_nm("Mg", burgers=(1, -1, 0, 0), burgers_fraction="1/3", partial=True)
    assert partial == pytest.approx(0.32094 / 3**0.5)


def test_lengths_may_be_rounded_and_multiples():
    assert length_nm("Al", burgers=(1, 1, 0), burgers_nm=0.2862) == pytest.approx(0.2862)
    assert length_nm("Al", burgers=(1, 1, 0), burgers_nm=0.5727) == pytest.approx(0.5727)
    assert length_nm("Al", burgers=(1, 1, 0), burgers_nm=0.5, partial=True) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("defect", "key", "words"),
    [
        (
            "burgers = [1, 1, 2]\nburgers_fraction = '1/6'",
            "burgers_fraction",
            "1/6 [1, 1, 2] is no lattice vector: the shortest one along [1, 1, 2] has 0.4960 nm; "
            "a partial dislocation needs partial = true",
        ),
        ("burgers = [1, 1, 0]\nburgers_nm = 0.3", "burgers_nm", "length of no lattice vector"),
        ("burgers = [1, 1, 0]\nburgers_nm = 0.001", "burgers_nm", "length of no lattice vector"),
        ("burgers = [1, 1, 0]\npartial = true", "partial", "needs burgers_fraction or burgers_nm"),
        (
            "burgers = [1, 1, 0]\nburgers_nm = 0.3\nburgers_fraction = '1/2'",
            "burgers_fraction",
            "give either burgers_nm or burgers_fraction",
        ),
        ("burgers = [1, 1, 0]\nburgers_fraction = '1/0'", "burgers_fraction", 'such as "1/6"'),
        ("burgers = [1, 1, 0]\nburgers_fraction = 0.5", "burgers_fraction", 'such as "1/6"'),
        ("burgers = [1, 1, -1, 0]", "burgers", "first three of four indices must add up to 0"),
        ("burgers = [1, 1, -2, 0]", "burgers", "four indices need hexagonal axes"),
        ("burgers = [1, -1, 0]\nplane = [1, 1, -2, 0]", "plane", "four indices need hexagonal"),
        ("burgers = [1, -1]", "burgers", "three integers"),
        ("burgers = [0, 0, 0, 0]", "burgers", "not all 0"),
    ],
)
def test_mistakes_in_burgers_vectors(defect, key, words):
    text = f"[[defects]]\nline = [1, 2, 3]\n{defect}"
    error = mistake(lambda: assemble(experiment("x_axis = [1, 0, 0]", defects=text)))
    assert error.key == f"defects[0].{key}"
    assert words in str(error)


def test_a_line_of_four_indices_must_sum_to_zero_and_needs_hexagonal_axes():
    text = "[[defects]]\nburgers = [1, 1, 0]\nline = [1, 1, {}, 0]"
    for third, words in (
        (-1, "first three of four indices must add up to 0"),
        (-2, "four indices need hexagonal"),
    ):
        error = mistake(
            lambda t=third: assemble(experiment("x_axis = [1, 0, 0]", defects=text.format(t)))
        )
        assert error.key == "defects[0].line"
        assert words in str(error)


def test_a_plane_of_four_indices_that_the_burgers_vector_leaves():
    text = "[[defects]]\nburgers = [1, 1, -2, 3]\nplane = [0, 0, 0, 1]\ncharacter_deg = 0"
    error = mistake(
        lambda: assemble(experiment('material = "Mg"\nx_axis = [1, 0, 0]', defects=text))
    )
    assert "hu + kv + it + lw must be 0" in str(error)


# --- the page ------------------------------------------------------------------------------------

EXAMPLES = [
    text for text in re.findall(r"^```toml\n(.*?)^```$", PAGE, re.M | re.S) if "[crystal]" in text
]


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_examples_of_the_page_can_be_simulated(number, monkeypatch):
    monkeypatch.chdir(DATA)
    text = EXAMPLES[number]
    no_defects = "" if "[[defects]]" in text else "defects = []\n"
    e = Experiment.from_toml_text(no_defects + text)
    assert assemble(e).geometry.theta > 0.0
    assert Experiment.from_toml_text(e.to_toml()) == e


def test_page_has_its_examples():
    assert len(EXAMPLES) == 4
    assert all(key in "".join(EXAMPLES) for key in ("cif", "atoms", "mount", "ub", "slip_systems"))
