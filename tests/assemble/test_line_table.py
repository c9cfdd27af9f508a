"""A table of lines in a file makes what the same lines make as tables of the experiment."""

from __future__ import annotations

import time

import h5py
import numpy as np
import pytest

from weakbeam import simulate
from weakbeam.assemble import assemble, assemble_all, input_files
from weakbeam.errors import InputError
from weakbeam.experiment import Dislocation, Experiment, LineTable
from weakbeam.run.defect_lines import defect_lines
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.record import record

SETTINGS = [
    "camera.pixels=[12, 16]",
    "camera.pixel_nm=200",
    "beam.height_fwhm_um=0.6",
    "scan.phi.value_mrad=0.12",
    "output.figures=false",
]
FCC = [
    ((1, 1, 1), (1, 0, -1)),
    ((1, 1, 1), (0, 1, -1)),
    ((1, -1, 1), (1, 1, 0)),
    ((-1, 1, 1), (1, 0, 1)),
]


def experiment(*defects, **keys):
    return Experiment(defects=defects, **keys).with_settings(SETTINGS)


@pytest.fixture
def table(tmp_path):
    def write(text, **keys):
        file = tmp_path / "lines.csv"
        file.write_text(text)
        return LineTable(file=str(file), **keys)

    return write


def drawn(count, seed=5):
    """Rows: slip plane, Burgers vector, angle, position."""
    generator = np.random.default_rng(seed)
    for _ in range(count):
        plane, burgers = FCC[generator.integers(len(FCC))]
        angle = float(generator.choice([0.0, 30.0, 60.0, 90.0, -60.0]))
        yield plane, burgers, angle, tuple(generator.uniform(-3, 3, 3).tolist())


def words(*parts):
    return ",".join(repr(value) for part in parts for value in part) + "\n"


@pytest.mark.parametrize("count", [1, 12, 90])
@pytest.mark.parametrize("form", ["angle_deg", "character_deg", "lu,lv,lw"])
def test_it_is_the_same_lines_one_by_one_bit_for_bit(table, count, form):
    singles, text = [], f"# a comment\nx, y, z, u, v, w, h, k, l, {form}\n\n"
    for plane, burgers, angle, position in drawn(count):
        keys = {"plane": plane, "burgers": burgers, "position_um": position}
        if form == "lu,lv,lw":
            line = tuple(float(n) for n in np.cross(plane, burgers))
            text += words(position, burgers, plane, line)
            singles.append(Dislocation(**keys, line=line))
        else:
            text += words(position, burgers, plane, [angle])
            singles.append(Dislocation(**keys, **{form: angle}))
    listed, alone = experiment(table(text)), experiment(*singles)
    for name in ("burgers_vector", "line", "position", "core_radius", "angle"):
        np.testing.assert_array_equal(
            assemble(listed).defects.columns[name][0], assemble(alone).defects.columns[name][0]
        )
    np.testing.assert_array_equal(simulate(listed).images.values, simulate(alone).images.values)


@pytest.mark.parametrize("axes", ["sample", "crystal"])
def test_components_are_those_of_the_axes(table, axes):
    alone = experiment(
        *(
            Dislocation(plane=plane, burgers=burgers, angle_deg=angle, position_um=position)
            for plane, burgers, angle, position in drawn(8)
        )
    )
    setup = assemble(alone)
    turn = setup.sample_from_crystal.T if axes == "crystal" else np.eye(3)
    lines = setup.defects.lines
    text = "x,y,z,bx,by,bz,tx,ty,tz\n"
    for line in lines:
        vectors = (line.position, line.burgers_vector, 3.7 * line.line)
        text += words(*((turn @ vector).tolist() for vector in vectors))
    found = assemble(experiment(table(text, axes=axes))).defects.lines
    for name in ("burgers_vectors", "lines", "positions", "core_radii"):
        np.testing.assert_allclose(getattr(found, name), getattr(lines, name), atol=1e-14)


def test_every_form_of_a_line_says_the_same(table):
    mixed = assemble(experiment(Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), angle_deg=60.0)))
    (line,) = mixed.defects.lines
    b, t = (",".join(map(repr, v.tolist())) for v in (line.burgers_vector, line.line))
    for head, row in (
        ("u,v,w,tx,ty,tz", f"1,0,-1,{t}"),
        ("u,v,w,h,k,l,tx,ty,tz", f"1,0,-1,1,1,1,{t}"),
        ("bx,by,bz,h,k,l,angle_deg", f"{b},1,1,1,60"),
        ("bx,by,bz,h,k,l,character_deg", f"{b},1,1,1,30"),
        # t at 60 degrees to b, towards b × n: [1 0 -1] + [1 -2 1] = 2 [1 -1 0].
        ("bx,by,bz,lu,lv,lw", f"{b},1,-1,0"),
    ):
        (found,) = assemble(experiment(table(f"x,y,z,{head}\n0,0,0,{row}\n"))).defects.lines
        np.testing.assert_allclose(found.burgers_vector, line.burgers_vector, atol=1e-18)
        np.testing.assert_allclose(found.line, line.line, atol=1e-14)
        assert found.core_radius == pytest.approx(line.core_radius, rel=1e-14)


def test_hexagonal_lines(table):
    magnesium = {
        "crystal": {"material": "Mg", "x_axis": (1, 0, 0)},
        "reflection": {"hkl": (0, 0, 2)},
    }
    single = Dislocation(plane=(0, 0, 1), burgers=(1, 0, 0), angle_deg=30.0)
    text = "x,y,z,u,v,w,h,k,l,angle_deg\n0,0,0,1,0,0,0,0,1,30\n"
    listed, alone = (
        assemble(experiment(defect, **magnesium)).defects.lines for defect in (table(text), single)
    )
    np.testing.assert_array_equal(listed.lines, alone.lines)
    np.testing.assert_array_equal(listed.burgers_vectors, alone.burgers_vectors)


HEAD = "x,y,z,u,v,w,h,k,l,angle_deg\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD + "0,0,0,1,0,-1,1,1,1,60\n0,0,a,1,0,-1,1,1,1,60", "line 3: z = 'a' is no number"),
        (HEAD + "# note\n\n0,0,nan,1,0,-1,1,1,1,60", "line 4: z = 'nan' is no number"),
        (HEAD + "0,0,0,1,0,-1,1,1,1", "line 2: has 9 values for 10 columns"),
        (HEAD + "0,0,0,0.5,0,-0.5,1,1,1,60", "line 2: u = '0.5' is no whole number from -99"),
        (HEAD + "0,0,0,0,0,0,1,1,1,60", "line 2: u,v,w = [0, 0, 0]: must be"),
        (HEAD + "0,0,0,1,0,0,1,1,1,60", "line 2: u,v,w = [1, 0, 0]: "),
        (HEAD, "lists no lines"),
        ("", "lists no lines"),
        ("x,y,z,u,v,w,id\n", "line 1: unknown column 'id'; known are x, y, z, u,"),
        ("x,y,z,u,v,w,u\n", "line 1: column u stands there twice"),
        ("x,y,u,v,w\n", "line 1: column z is missing"),
        ("x,y,z,u,v,tx,ty,tz\n", "line 1: column w is missing"),
        ("x,y,z,u,v,w\n", "line 1: needs one of the columns for a line: lu,lv,lw or tx,ty,tz or"),
        ("x,y,z,tx,ty,tz\n", "line 1: needs one of the columns for a Burgers vector: u,v,w or"),
        ("x,y,z,u,v,w,angle_deg\n", "line 1: an angle needs the columns h,k,l"),
        (
            "x,y,z,u,v,w,h,k,l,lu,lv,lw\n0,0,0,1,0,-1,1,1,1,1,0,0",
            "line 2: lu,lv,lw = [1.0, 0.0, 0.0]: leaves the plane",
        ),
        (
            "x,y,z,bx,by,bz,tx,ty,tz\n0,0,0,2.86e-4,0,0,0,0,0",
            "line 2: tx,ty,tz = [0.0, 0.0, 0.0]: must not all be 0",
        ),
        (
            "x,y,z,bx,by,bz,tx,ty,tz\n0,0,0,0.286,0,0,0,0,1",
            "line 2: bx,by,bz = [0.286, 0.0, 0.0]: are 286 nm long; components are in µm",
        ),
        (
            "x,y,z,bx,by,bz,tx,ty,tz\n0,0,0,2.5e-4,0,0,0,0,1",
            "is no lattice vector of Al in the axes of the sample; a partial dislocation needs",
        ),
        (
            "x,y,z,bx,by,bz,h,k,l,angle_deg\n0,0,0,2.86e-4,0,0,2,0,0,60",
            "line 2: h,k,l: the Burgers vector leaves it by 45 deg",
        ),
        ('x,y,z,u,v,w,"', "line 1: "),
    ],
)
def test_mistakes_are_one_line_with_the_number_of_the_line(table, text, message):
    with pytest.raises(InputError) as raised:
        assemble(experiment(table(text)))
    assert raised.value.key == "defects[0].file"
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_partial_dislocation_is_said_to_be_one(table):
    third = 4.0495e-4 / 6.0
    text = f"x,y,z,bx,by,bz,tx,ty,tz\n0,0,0,{third},{third},{-2 * third},1,-1,0\n"
    with pytest.raises(InputError, match="no lattice vector"):
        assemble(experiment(table(text, axes="crystal")))
    (line,) = assemble(experiment(table(text, axes="crystal", partial=True))).defects.lines
    assert np.linalg.norm(line.burgers_vector) == pytest.approx(third * np.sqrt(6.0))


def test_a_file_that_is_not_there_or_no_text_is_told(tmp_path):
    binary = tmp_path / "binary.csv"
    binary.write_bytes(b"\xff\xfe\x00x")
    for name, message in ((tmp_path / "no.csv", "cannot be read: No such"), (binary, "no text")):
        with pytest.raises(InputError, match=message) as raised:
            assemble(experiment(LineTable(file=str(name))))
        assert raised.value.key == "defects[0].file"


def test_it_is_an_input_of_the_run_and_back_from_its_file(table, tmp_path):
    text = HEAD + "".join(words(p, b, n, [a]) for n, b, a, p in drawn(7))
    listed = experiment(table(text))
    assert input_files(listed) == [listed.defects[0].file]
    result = record(listed, tmp_path / "run")
    with h5py.File(result.file) as file:
        assert file["1.1/simulation/inputs/file"].asstr()[()].tolist() == input_files(listed)
        rows = file["1.1/sample/defects"]
        assert set(rows["kind"].asstr()[()]) == {"table"}
        assert len(rows["position"]) == 7
    stored = experiment({"kind": "stored", "file": str(result.file)})
    np.testing.assert_array_equal(simulate(stored).images.values, simulate(listed).images.values)
    again = record(listed, tmp_path / "run", resume=True)
    assert again.unchanged
    table(text + "0,0,0,1,0,-1,1,1,1,60\n")
    with pytest.raises(InputError):
        record(listed, tmp_path / "run", resume=True)


def test_it_turns_with_the_crystal_and_is_shown(table):
    text = HEAD + "".join(words(p, b, n, [a]) for n, b, a, p in drawn(7))
    several = [{"hkl": (-1, 1, -1)}, {"hkl": (1, 1, 1)}]
    first, second = assemble_all(experiment(table(text), reflections=several))
    turn = second.sample_from_crystal @ first.sample_from_crystal.T
    np.testing.assert_allclose(
        second.defects.lines.positions, first.defects.lines.positions @ turn.T, atol=1e-14
    )
    assert defect_lines(first.defects)[0].startswith("defects[0]  table, 7 lines, b∧t ")
    drawing = defects_drawing(first, 0.0)
    assert "(1 1 1)[1 0 −1]" in [name.replace("\u2009", " ") for name in drawing.options["labels"]]


def test_two_hundred_lines_are_placed_at_once(table):
    text = HEAD + "".join(words(p, b, n, [a]) for n, b, a, p in drawn(200))
    listed = experiment(table(text))
    assemble(listed)
    start = time.perf_counter()
    assert len(assemble(listed).defects.lines) == 200
    assert time.perf_counter() - start < 1.0
