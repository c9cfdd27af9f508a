"""Networks of files, placed: units, axes, checks against the crystal, images, what is kept."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import network_texts as texts
import numpy as np
import pytest

from weakbeam import simulate
from weakbeam.assemble import assemble, assemble_all, input_files
from weakbeam.assemble.network import PlacedNetwork
from weakbeam.defects.field import Superposition, evaluate
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLines
from weakbeam.defects.many import Bounds
from weakbeam.defects.network import DislocationNetwork
from weakbeam.defects.periodic import RepeatedField
from weakbeam.defects.segments import IsotropicSegments, Segments
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment, Loop, Network, StoredDislocations
from weakbeam.run.defect_lines import defect_lines
from weakbeam.run.defects_figure import defects_drawing
from weakbeam.run.record import record

SHARED = Path(__file__).parents[3] / "shared"
SETTINGS = [
    "camera.pixels=[10, 12]",
    "camera.pixel_nm=200",
    "beam.height_fwhm_um=0.6",
    "scan.phi.value_mrad=0.12",
    "output.figures=false",
]
AL_NM = 0.40495 / np.sqrt(2.0)


def experiment(*defects, settings=(), **keys):
    return Experiment(defects=defects, **keys).with_settings([*SETTINGS, *settings])


def placed(*defects, **keys):
    setup = assemble(experiment(*defects, **keys))
    return setup, setup.defects.placed[0]


@pytest.fixture
def files(tmp_path):
    """Every format, scaled so that the box is some µm wide where b is the unit."""
    names = {"paradis": "a.data", "vtk": "b.vtk", "restart": "c.exadis", "table": "e.csv"}
    for form, name in names.items():
        (tmp_path / name).write_text(getattr(texts, form)())
    (tmp_path / "d.ca").write_text(texts.dxa(constant=4.05))
    return {form: str(tmp_path / name) for form, name in (names | {"dxa": "d.ca"}).items()}


def test_every_format_makes_the_same_crystal(files):
    points = np.random.default_rng(0).uniform(-4e-3, 4e-3, (40, 3))
    fields = {}
    for form in ("paradis", "vtk", "restart"):
        setup, network = placed(Network(file=files[form], burgers_length_nm=AL_NM))
        assert isinstance(network, PlacedNetwork)
        np.testing.assert_allclose(
            np.linalg.norm(network.network.periods, axis=1), np.diag(texts.CELL) * AL_NM * 1e-3
        )
        fields[form] = evaluate(setup.field_at(), points)
    size = np.abs(fields["paradis"]).max()
    assert size > 1e-3
    for found in fields.values():
        np.testing.assert_allclose(found, fields["paradis"], atol=2e-4 * size)


def test_units_and_axes_carry_it_into_the_crystal(files):
    axes = ((0, 1, 0), (-1, 0, 0), (0, 0, 1))
    plain = {"file": files["paradis"], "burgers_length_nm": AL_NM}
    setup, network = placed(Network(**plain, position_um=(0.5, 0.25, -1.0)))
    first = network.network.nodes[0]
    mount = setup.sample_from_crystal
    expected = mount @ texts.NODES[0] * AL_NM * 1e-3 + [0.5, 0.25, -1.0]
    np.testing.assert_allclose(first, expected, atol=1e-12)
    b = mount @ [1, 1, 0] * 0.40495e-3 / 2
    np.testing.assert_allclose(network.network.burgers[0], b, atol=1e-9)
    _, turned = placed(Network(**plain, file_axes=axes))
    # x of the file runs along y of the crystal.
    expected = mount @ [-1, 1, 0] * 0.40495e-3 / 2
    np.testing.assert_allclose(turned.network.burgers[0], expected, atol=1e-9)
    _, euler = placed(Network(**plain, euler_deg=(-90.0, 0.0, 0.0)))
    np.testing.assert_allclose(euler.network.burgers, turned.network.burgers, atol=1e-15)
    _, opposite = placed(Network(**plain, burgers_sense="reversed"))
    np.testing.assert_allclose(opposite.network.burgers, -network.network.burgers, atol=1e-18)


def test_extracted_lines_have_the_units_of_atoms_and_the_turn_of_their_cluster(files, tmp_path):
    turn = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    rows = "\n".join(" ".join(f"{4.05 * x:.12g}" for x in row) for row in turn)
    plain_rows = "4.05 0 0\n0 4.05 0\n0 0 4.05"
    text = texts.dxa(constant=4.05)
    assert plain_rows in text
    (tmp_path / "turned.ca").write_text(text.replace(plain_rows, rows))
    _, plain = placed(Network(file=files["dxa"]))
    setup, turned = placed(Network(file=str(tmp_path / "turned.ca")))
    length = 1e-4 * np.linalg.norm(texts.NODES[1] - texts.NODES[0])
    assert np.linalg.norm(plain.network.steps[:2].sum(axis=0)) == pytest.approx(length)
    # The crystal lies turned in the file: what is along x there is along the turned x of its own.
    mount = setup.sample_from_crystal
    np.testing.assert_allclose(turned.network.burgers, plain.network.burgers, atol=1e-12)
    expected = plain.network.steps @ mount @ turn @ mount.T
    np.testing.assert_allclose(turned.network.steps, expected, atol=1e-12)
    with pytest.raises(InputError, match=r"lattice constant of 4.05 Å, Cu one of 3.61"):
        placed(Network(file=files["dxa"]), crystal={"material": "Cu"})


def test_lines_of_another_crystal_are_refused_unless_it_is_the_same(files, tmp_path):
    path, turn = tmp_path / "two.ca", np.array([[0.6, -0.8, 0], [0.8, 0.6, 0], [0, 0, 1.0]])
    quarter = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    path.write_text(texts.dxa(constant=4.05, second=quarter))
    _, plain = placed(Network(file=files["dxa"]))
    # A quarter of a turn about a cube axis is no other crystal.
    _, same = placed(Network(file=str(path)))
    np.testing.assert_allclose(same.network.burgers, plain.network.burgers, atol=1e-12)
    # What is a lattice vector there is none of the crystal that has most of the lines.
    rows = [
        "\n".join(" ".join(f"{4.05 * x:.12g}" for x in row) for row in r) for r in (quarter, turn)
    ]
    assert rows[0] in path.read_text()
    path.write_text(path.read_text().replace(*rows))
    with pytest.raises(InputError, match=r"no lattice vector of Al; .* 2 crystals .* one of them"):
        placed(Network(file=str(path)))


def test_a_file_of_lines_without_a_box_has_the_field_of_its_loop(tmp_path):
    path = tmp_path / "loop.vtk"
    path.write_text(texts.vtk_without_box())
    setup, network = placed(Network(file=str(path), burgers_length_nm=AL_NM))
    assert len(network.network.periods) == 0
    loop = Segments.polygon(
        1e-3 * AL_NM * texts.NODES[:3], 1e-3 * AL_NM * np.array(texts.ARMS[0][2])
    ).turned(setup.sample_from_crystal)
    points = np.random.default_rng(0).uniform(-0.01, 0.01, (30, 3))
    loop = replace(loop, core_radii=network.network.core_radii)
    expected = evaluate(IsotropicSegments(loop, network.medium), points)
    found = evaluate(setup.field_at(), points)
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def test_a_box_may_repeat_along_one_of_its_edges(tmp_path):
    path = tmp_path / "some.exadis"
    path.write_text(texts.restart().replace("pbc 1 1 1", "pbc 1 0 0"))
    shares = np.random.default_rng(0).uniform(-0.4, 0.4, (40, 3))
    points, fields = 1e-3 * AL_NM * shares @ texts.CELL, []
    for images in (1, 3):
        table = Network(file=str(path), burgers_length_nm=AL_NM, images=images)
        setup, network = placed(table)
        assert len(network.network.periods) == 1
        fields.append(evaluate(setup.field_at(), points @ setup.sample_from_crystal.T))
    # What leads out of the boxes leaves them along the period, and its images cancel it.
    error = np.sqrt(np.mean((fields[0] - fields[1]) ** 2) / np.mean(fields[1] ** 2))
    assert error < 2e-2


def test_a_table_gives_the_same_image_as_the_loop_it_lists(tmp_path):
    corners = ((-0.6, -0.5, 0.0), (0.7, -0.4, 0.1), (0.1, 0.8, -0.1))
    a = 0.40495e-3
    rows = [[*corners[k], *corners[(k + 1) % 3], 0.5 * a, 0.0, -0.5 * a] for k in range(3)]
    text = "x0,y0,z0,x1,y1,z1,bx,by,bz\n"
    text += "\n".join(",".join(f"{x:.15g}" for x in row) for row in rows)
    (tmp_path / "loop.csv").write_text(text)
    network = Network(file=str(tmp_path / "loop.csv"))
    assert input_files(experiment(network)) == [str(tmp_path / "loop.csv")]
    loop = Loop(points_um=corners, burgers=(1, 0, -1), axes="crystal")
    expected = simulate(experiment(loop)).images.values
    found = simulate(experiment(network)).images.values
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("images", ["near", 0])
def test_a_network_comes_back_from_the_file_and_goes_along_with_the_crystal(
    files, tmp_path, images
):
    table = Network(
        file=files["paradis"], burgers_length_nm=AL_NM, images=images, position_um=(0.2, 0.1, 0.05)
    )
    reflections = [{"hkl": (-1, 1, -1)}, {"hkl": (1, 1, 1)}]
    described = experiment(table, settings=["camera.oversampling='point'"], reflections=reflections)
    file = record(described, tmp_path / "run", workers=1).file
    stored = described.model_copy(update={"defects": (StoredDislocations(file=str(file)),)})
    points = np.random.default_rng(1).uniform(-5e-3, 5e-3, (30, 3))
    points += np.array([0.2, 0.1, 0.05])
    fields = []
    for one in (described, stored):
        first, second = assemble_all(one)
        turn = second.sample_from_crystal @ first.sample_from_crystal.T
        found = evaluate(first.field_at(), points)
        turned = evaluate(second.field_at(), points @ turn.T)
        # The polynomial is fitted anew in the frame of each mount.
        np.testing.assert_allclose(turned, turn @ found @ turn.T, atol=2e-6)
        fields.append(found)
    np.testing.assert_allclose(fields[1], fields[0], atol=1e-12)


def test_a_region_is_cut_out_and_lines_run_on(files):
    table = Network(
        file=files["paradis"],
        burgers_length_nm=AL_NM,
        region_um=((-0.003, -0.003, -0.002), (0.003, 0.003, 0.002)),
    )
    _, network = placed(table)
    assert network.cut is not None
    assert np.isinf(network.cut.lengths).any()
    inside = np.abs(network.cut.starts) <= np.array([0.003, 0.003, 0.002]) + 1e-9
    assert inside.all()
    with pytest.raises(InputError, match="holds no dislocation") as raised:
        placed(table.replace(region_um=((0.0029, 0, 0), (0.003, 1e-6, 1e-6))))
    assert raised.value.key == "defects[0].region_um"


def test_what_it_is_is_told_and_drawn(files):
    setup, _ = placed(Network(file=files["paradis"], burgers_length_nm=AL_NM))
    (said,) = defect_lines(setup.defects)
    assert said.startswith("defects[0]  network, 11 segments in a box that repeats")
    drawing = defects_drawing(setup, 0.0)
    names = {name.replace("\u2009", " ") for name in drawing.options["labels"]}
    assert names == {"1/2[1 1 0]", "1/2[1 0 1]", "1/2[0 1 −1]"}
    assert drawing.picture()[1:4] == b"PNG"


P4 = texts.paradis()


@pytest.mark.parametrize(
    ("text", "keys", "key", "said"),
    [
        (P4, {"burgers_length_nm": None}, "burgers_length_nm", "missing; ParaDiS, version 4"),
        (P4, {"burgers_length_nm": 0.32}, "file", r"unit do not fit: b = .* is no lattice vector"),
        (
            P4,
            {"file_axes": ((1, 1, 0), (-1, 1, 0), (0, 0, 1))},
            "file",
            r"line \d+, arm from node 0,\d to 0,\d: the file's axes .* is no lattice vector of Al",
        ),
        (P4, {"file_axes": ((1, 0, 0), (1, 1, 0), (0, 0, 1))}, "file_axes", "x and y make 45 deg"),
        (P4, {"file_axes": ((1, 0, 0), (0, 0, 1), (0, 1, 0))}, "file_axes", "right-handed"),
        (
            P4.replace("0.0000000000e+00 0.0000000000e+00 1.0000000000e+00", "1 0 0"),
            {},
            "file",
            r"b = \(0.707107, 0.707107, 0\) leaves its plane \(1, 0, 0\) by 45 deg",
        ),
        (P4, {"images": 1, "ends": "straight"}, None, ""),
        (texts.table(), {}, "burgers_length_nm", "does not belong to a file in µm"),
        (
            texts.table(scale=0.286e-3).rsplit("\n", 2)[0] + "\n",
            {"burgers_length_nm": None},
            "file",
            r"line 3, node 0: a line with b = .* ends there, as at 1 more nodes; ends = ",
        ),
        (
            texts.table(scale=0.286e-3).rsplit("\n", 2)[0] + "\n",
            {"burgers_length_nm": None, "ends": "straight"},
            None,
            "",
        ),
        (
            texts.table(scale=0.286e-3) + "0,0,0,0.00057,0.00086,0.00029,0,2.025e-4,2.025e-4,x\n",
            {"burgers_length_nm": None, "ends": "straight"},
            "file",
            r"node 0: the Burgers vectors of its 3 arms add up to \(0, -0.0002025, -0.0002025\)",
        ),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, text, keys, key, said):
    path = tmp_path / "network.data"
    path.write_text(text)
    keys = {"burgers_length_nm": AL_NM} | keys
    table = Network(file=str(path), **{k: v for k, v in keys.items() if v is not None})
    if key is None:
        placed(table)
        return
    with pytest.raises(InputError, match=said) as raised:
        placed(table)
    assert raised.value.key == f"defects[0].{key}"


def test_region_and_images_exclude_each_other():
    with pytest.raises(InputError, match="either region_um or images"):
        Network(file="x", images=0, region_um=((0, 0, 0), (1, 1, 1)))
    with pytest.raises(InputError, match="second above the first"):
        Network(file="x", region_um=((0, 0, 0), (1, 0, 1)))
    with pytest.raises(InputError, match='"near", or an integer from 0 to 3'):
        Network(file="x", images=4)


@pytest.mark.skipif(not (SHARED / "reference/fields/loop_Al.json").exists(), reason="no ../shared")
def test_a_loop_of_another_program_has_its_field(tmp_path):
    told = json.loads((SHARED / "reference/fields/loop_Al.json").read_text())
    with np.load(SHARED / "reference/fields/loop_Al.npz") as file:
        points, expected = file["points_um"], file["beta"]
    rows = [[*s["from_um"], *s["to_um"], *s["b_um"]] for s in told["field"]["segments"]]
    text = "x0,y0,z0,x1,y1,z1,bx,by,bz\n"
    text += "\n".join(",".join(f"{x:.17g}" for x in row) for row in rows)
    (tmp_path / "loop.csv").write_text(text)
    crystal = {
        "material": "Al",
        "x_axis": (1, 0, -1),
        "poisson_ratio": 0.334,
        "core_radius_nm": 0.0,
    }
    setup, _ = placed(Network(file=str(tmp_path / "loop.csv")), crystal=crystal)
    turn = setup.sample_from_crystal
    found = turn.T @ evaluate(setup.field_at(), points @ turn.T) @ turn
    np.testing.assert_allclose(found, expected, atol=1e-6 * np.abs(expected).max())


def many_chains(unit, edge):
    """Some hundred loops whose arms cross the faces of a cube, with Burgers vectors of fcc."""
    random = np.random.default_rng(5)
    faces = [[1, 1, 0], [1, 0, -1], [0, 1, 1], [1, -1, 0]]
    nodes, arms, steps, burgers = [], [], [], []
    for k in range(75):
        corners = random.uniform(-0.5, 0.5, 3) * edge + random.normal(
            scale=0.04 * edge, size=(5, 3)
        )
        b = unit / np.sqrt(2.0) * np.array(faces[k % 4])
        for i in range(5):
            arms.append((5 * k + i, 5 * k + (i + 1) % 5))
            steps.append(corners[(i + 1) % 5] - corners[i])
            burgers.append(b)
        nodes += list(corners)
    return DislocationNetwork(
        *map(np.array, (nodes, arms, steps, burgers)),
        np.zeros(len(arms)),
        edge * np.eye(3),
        np.zeros(3),
    )


@pytest.mark.parametrize(
    "elasticity", ["isotropic", pytest.param("anisotropic", marks=pytest.mark.slow)]
)
def test_a_file_of_many_chains_has_the_image_of_the_direct_sum(tmp_path, elasticity):
    # From the file to the image, through far cells and boxes: beside every segment of every box.
    unit, edge = 1e-3 * AL_NM, 3.0
    told = many_chains(unit, edge)
    (tmp_path / "chains.data").write_text(texts.paradis_of(told, unit))
    setup, network = placed(
        Network(file=str(tmp_path / "chains.data"), burgers_length_nm=AL_NM),
        crystal={"elasticity": elasticity},
        settings=["camera.oversampling=1", "camera.depth_samples=12"],
    )
    assert len(network.network.arms) == 375
    assert network.network.density == pytest.approx(told.density, rel=1e-6)
    (repeated,) = network.sources.fields
    medium, segments = network.medium, repeated.segments
    each = field_of(StraightLines.of([]), medium, segments=segments)
    direct = RepeatedField(
        Superposition([each, repeated.correction[0]]), network.periods, network.network.centre
    )
    engine = setup.engine(0.0, 1)
    rock = [np.zeros(3)]
    expected = engine.with_field(direct).images(rock, rock)
    found = engine.images(rock, rock)
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-3 * expected.max())
    assert np.std(expected) > 0.05 * np.mean(expected)


@pytest.mark.slow
@pytest.mark.skipif(not (SHARED / "inputs/networks").exists(), reason="no ../shared")
@pytest.mark.parametrize("elasticity", ["isotropic", "anisotropic"])
def test_a_network_of_180_chains_runs_whole(elasticity):
    file = SHARED / "inputs/networks/180chains_16.10e.data"
    described = Experiment(
        defects=(Network(file=str(file), burgers_length_nm=0.255),),
        crystal={"material": "Cu", "elasticity": elasticity},
    ).with_settings(["scan.phi.value_mrad=0.15", "output.figures=false"])
    setup = assemble(described)
    (network,) = setup.defects.placed
    assert network.network.nodes.shape == (5055, 3)
    assert network.network.arms.shape == (5930, 2)
    # 410 arms leave the box of 15 µm.
    assert np.count_nonzero(np.abs(network.network._turns).any(axis=1)) == 410
    np.testing.assert_allclose(np.linalg.norm(network.periods, axis=1), 15.0, rtol=1e-4)
    assert np.abs(network.network.imbalance).max() < 1e-3 * 2.55e-4
    frame = simulate(described).images.values
    assert np.all(np.isfinite(frame))
    assert frame.min() >= 0.0
    assert np.std(frame) > 0.1 * np.mean(frame) > 0.0
    # The field that the image is made of, at some places in the beam.
    (repeated,) = network.sources.fields
    bounds = Bounds([0.0, 0.0, 0.0], np.eye(3), [9.0, 9.0, 0.2])
    points = np.random.default_rng(0).uniform(-1, 1, (12, 3)) * bounds.half
    found = evaluate(repeated.prepared(bounds, 10_000_000, None), points)
    each = field_of(StraightLines.of([]), network.medium, segments=repeated.segments)
    shares = (points - network.network.centre) @ np.linalg.inv(network.periods)
    inside = points - np.round(shares) @ network.periods
    expected = evaluate(each, inside) + evaluate(repeated.correction[0], inside)
    error = np.sqrt(np.mean((found - expected) ** 2))
    assert error < 1e-3 * np.sqrt(np.mean(expected**2))


@pytest.mark.skipif(not (SHARED / "inputs/networks").exists(), reason="no ../shared")
def test_a_junction_of_another_program_is_placed():
    file = SHARED / "inputs/networks/paradis_ta_junction_26nodes.data"
    _, network = placed(
        Network(file=str(file), burgers_length_nm=0.286),
        crystal={"material": "Ta", "x_axis": (1, -1, 0)},
        reflection={"hkl": (1, 1, 0)},
    )
    assert set(network.names) == {"1/2[1 1 1]", "1/2[1 1 -1]", "[0 0 1]"}
    assert np.abs(network.network.imbalance).max() < 1e-12
