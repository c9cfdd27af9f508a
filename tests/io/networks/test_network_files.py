"""One network in every format is the same network; and files that are damaged say where."""

import h5py
import network_texts as texts
import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.io.networks.reading import is_network, read_network

WRITTEN = {
    "paradis4": ("paradis", texts.paradis()),
    "paradis5": ("paradis", texts.paradis(5)),
    "vtk": ("exadis", texts.vtk()),
    "restart": ("exadis", texts.restart()),
    "dxa": ("dxa", texts.dxa()),
}


@pytest.fixture
def written(tmp_path):
    def write(text, name="network.data"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def vectors(nodes, arms, steps, burgers, fold=True):
    """Σ b_i step_j and what leaves each place: the same however arms are cut or ordered."""
    ends = {}
    cell = np.diag(texts.CELL)
    for node, b in zip(
        arms[:, 0].tolist() + arms[:, 1].tolist(), [*burgers, *(-burgers)], strict=True
    ):
        place = nodes[node]
        if fold:
            place = (place - texts.LOW + 1e-6) % cell
        ends.setdefault(tuple(np.round(place, 3)), []).append(b)
    sums = {place: np.abs(np.sum(theirs, axis=0)).max() for place, theirs in ends.items()}
    junctions = {place: len(theirs) for place, theirs in ends.items() if len(theirs) > 2}
    return np.einsum("mi,mj->ij", burgers, steps), sums, junctions


EXPECTED = np.einsum("mi,mj->ij", texts.arms()[:, 6:], texts.arms()[:, 3:6])


@pytest.mark.parametrize("name", WRITTEN)
def test_every_format_tells_the_same_network(written, name):
    form, text = WRITTEN[name]
    path = written(text)
    assert is_network(path)
    file = read_network(path, "file", form)
    assert read_network(path).format == file.format
    # In lattice constants of the crystal there, b = 1 is 1/√2.
    scale = np.sqrt(2.0) if name == "dxa" else 1.0
    nye, sums, junctions = vectors(file.nodes, file.arms, file.steps, scale * file.burgers)
    np.testing.assert_allclose(nye, EXPECTED, atol=1e-4)
    assert max(sums.values()) < 1e-5
    assert sorted(junctions.values()) == [3, 3]
    np.testing.assert_allclose(np.linalg.norm(scale * file.burgers, axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(file.cell, texts.CELL)
    np.testing.assert_allclose(file.origin, texts.LOW)
    assert file.periodic == (True, True, True)
    # Ends are where steps say, but for whole periods.
    away = file.nodes[file.arms[:, 0]] + file.steps - file.nodes[file.arms[:, 1]]
    turns = away @ np.linalg.inv(file.cell)
    np.testing.assert_allclose(turns, np.round(turns), atol=1e-5)
    assert np.linalg.norm(file.steps, axis=1).max() < 41.0
    if name not in ("dxa",):
        np.testing.assert_allclose(np.sum(file.burgers * file.planes, axis=1), 0.0, atol=1e-6)
        assert "burgers_length_nm" in file.lacks[0]


def test_pieces_that_a_face_has_cut_are_joined_again(written):
    pieces, _ = texts.cut()
    assert len(pieces) > len(texts.ARMS)
    file = read_network(written(texts.vtk()))
    counts = np.bincount(file.arms.ravel())
    assert (counts >= 2).all()


def test_each_cluster_has_a_rotation_of_its_own(written):
    turn = np.array([[0.6, -0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.0, 1.0]])
    plain, turned = (read_network(written(texts.dxa(turn=t))) for t in (None, turn))
    np.testing.assert_allclose(plain.burgers, turned.burgers, atol=1e-10)
    np.testing.assert_allclose(turned.file_from_crystal, turn, atol=1e-12)
    assert turned.lattice_constant == pytest.approx(4.0)
    pure = read_network(written(texts.dxa(constant=1.0, turn=turn)))
    np.testing.assert_allclose(pure.burgers, plain.burgers, atol=1e-10)
    assert pure.lattice_constant is None


def test_lines_of_several_clusters_are_turned_each_by_its_own(written):
    turns = [
        np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]) for c, s in ((0.6, 0.8), (0, 1))
    ]
    plain = read_network(written(texts.dxa()))
    both = read_network(written(texts.dxa(turn=turns[0], second=turns[1])))
    assert plain.clusters == 1
    assert both.clusters == 2
    # Along the axes of the file nothing has changed, whichever crystal tells it.
    np.testing.assert_allclose(both.burgers, plain.burgers, atol=1e-10)
    np.testing.assert_array_equal(both.arms, plain.arms)
    # The crystal of the file is that with most of the lines: five of nine.
    np.testing.assert_allclose(both.file_from_crystal, turns[0], atol=1e-12)


def test_a_file_of_lines_without_a_box_does_not_repeat(written):
    file = read_network(written(texts.vtk_without_box()))
    assert file.cell is None
    assert file.periodic == (False, False, False)
    assert file.arms.tolist() == [[0, 1], [1, 2], [2, 0]]
    np.testing.assert_allclose(file.nodes, texts.NODES[:3])
    assert "glide planes" in file.lacks


def test_a_turned_crystal_of_a_restart_file_is_told(written):
    turned = texts.restart().replace("1 0 0 0 1 0 0 0 1", "0 1 0 -1 0 0 0 0 1")
    np.testing.assert_allclose(
        read_network(written(turned)).file_from_crystal, [[0, 1, 0], [-1, 0, 0], [0, 0, 1]]
    )


def test_our_own_table_is_text_or_hdf5(written, tmp_path):
    file = read_network(written(texts.table(), "segments.csv"))
    assert file.unit == file.burgers_unit == "um"
    assert file.arms.tolist() == [[0, 1], [1, 2], [2, 0]]
    np.testing.assert_allclose(file.nodes, 1e-3 * texts.NODES[:3])
    assert file.lines.tolist() == [3, 4, 5]
    rows = np.loadtxt(tmp_path / "segments.csv", delimiter=",", skiprows=2, usecols=range(9))
    names = ["x0", "y0", "z0", "x1", "y1", "z1", "bx", "by", "bz"]
    for kind in ("group", "compound"):
        path = tmp_path / f"{kind}.h5"
        with h5py.File(path, "w") as opened:
            if kind == "group":
                for name, column in zip(names, rows.T, strict=True):
                    opened[f"network/segments/{name}"] = column
            else:
                table = np.zeros(3, [(name, "f8") for name in names])
                for name, column in zip(names, rows.T, strict=True):
                    table[name] = column
                opened["segments"] = table
        again = read_network(str(path))
        np.testing.assert_array_equal(again.burgers, file.burgers)
        np.testing.assert_array_equal(again.nodes, file.nodes)


def test_a_file_without_any_node_is_an_empty_network(written):
    text = texts.paradis()
    start = text.index("domainDecomposition")
    head = (
        text[:start].replace("nodeCount =   10", "nodeCount =   0").replace("Type = 2", "Type = 1")
    )
    nested = "domainDecomposition = \n -20\n     -15\n         -10\n          20\n      15\n  10\n"
    file = read_network(written(head + nested + "\nnodalData = \n# none\n"))
    assert len(file.nodes) == len(file.arms) == 0
    np.testing.assert_allclose(file.cell, texts.CELL)


def line_of(text, part):
    return 1 + text[: text.index(part)].count("\n")


P4, VTK, RESTART, DXA, CSV = (
    texts.paradis(),
    texts.vtk(),
    texts.restart(),
    texts.dxa(),
    texts.table(),
)
FIRST_ARM = P4.index("   0,1 ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (P4.replace(" 0,4 12.0", " 0,4 x", 1), f"line {line_of(P4, ' 0,4 12.0')}: 'x0000000' is"),
        (P4.replace("nodeCount =   10", "nodeCount =   11"), "nodeCount = 11, but 10 nodes"),
        (P4[: P4.index(" 0,9 ")], "ends too early: an arm of node 0,3 is missing"),
        (P4[:FIRST_ARM] + P4[FIRST_ARM:].replace("0,1 7", "0,99 7", 1), "which is not there"),
        (
            P4[:FIRST_ARM] + P4[FIRST_ARM:].replace("7.0710678119e-01", "6.0710678119e-01", 1),
            r"line \d+: the arm from node 0,1 to 0,0 has b = .* not the opposite",
        ),
        (P4.replace("numFileSegments = 1", "numFileSegments = 4"), "numFileSegments = 4"),
        (P4.replace("nodalData", "nodalDate"), "nodalData is missing"),
        (P4.replace("minCoordinates = [\n", "minCoordinates = [\n ten\n"), "'ten' is no number"),
        (VTK.replace("ASCII", "BINARY"), "line 3: only VTK files in ASCII"),
        (VTK.replace("VECTORS Burgers", "VECTORS Burger"), "Burgers of the cells are missing"),
        (VTK.replace("2 8 9\n", "2 8 999\n"), "names a point that is none of"),
        (VTK.replace("2 8 9\n", "2 8 x\n"), "'x' is no number"),
        (VTK[: VTK.index("VECTORS Planes") - 20], "ends too early|is no number"),
        (RESTART.replace("Nnodes 10", "Nnodes 12"), "a node has 5 or 7 numbers|of 12 nodes"),
        (RESTART.replace("0 1 0.7", "0 77 0.7"), "ends at node 77, which is not there"),
        (RESTART.replace("H 40 0 0", "H 0 0 0"), "has no volume"),
        (DXA.replace("PBC_FLAGS 1 1 1", "PBC_FLAGS 1 1"), "is no whole number|is no number"),
        (DXA.replace("\n1\n3\n", "\n7\n3\n", 1), "in cluster 7, which is not there"),
        (DXA.replace("\n1\n3\n", "\n1\n1\n", 1), "has 1 points, not two or more"),
        (DXA[: DXA.index("DISLOCATIONS 9")], "DISLOCATIONS is missing"),
        (CSV.replace("bz,source", "cz,source"), "line 2: column bz is missing"),
        (CSV.replace("loop\n", "loop,more\n", 1), "line 3: has 11 values for 10 columns"),
        (CSV.replace("0.008", "far", 1), "line 3: x1 = 'far' is no number"),
        ("dirname = results\n", "is no network"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(written, text, said):
    with pytest.raises(InputError, match=said) as raised:
        read_network(written(text), "defects[0].file")
    assert raised.value.key == "defects[0].file"
    assert "\n" not in str(raised.value)


def test_a_format_that_is_asked_for_must_be_that(written, tmp_path):
    with pytest.raises(InputError, match="begins as a file of the format paradis, not dxa"):
        read_network(written(P4), "file", "dxa")
    with pytest.raises(InputError, match="cannot be read"):
        read_network(str(tmp_path / "none.data"))
    assert not is_network(str(tmp_path / "none.data"))
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00" * 9)
    assert not is_network(str(tmp_path / "bytes"))
