"""``weakbeam show`` of networks."""

import json

import h5py
import network_texts as texts
import numpy as np
import pytest


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.data"
    path.write_text(texts.paradis())
    return path


def test_a_network_is_counted_and_drawn(weakbeam, network, tmp_path):
    done = weakbeam("show", network, "-o", tmp_path / "out")
    assert done.status == 0
    assert "Σb = 0 at every node" in done.out
    assert "lacks      the length of the Burgers vector" in done.out
    assert (tmp_path / "out/network.png").read_bytes()[1:4] == b"PNG"
    done = weakbeam("show", network, "-o", tmp_path / "out", "--json", "--burgers-length", "0.25")
    assert json.loads(done.out)["segments"] == 11


def test_a_figure_is_replaced_where_that_is_asked_for(weakbeam, network, tmp_path):
    assert weakbeam("show", network, "-o", tmp_path).status == 0
    other = ("show", network, "-o", tmp_path, "--burgers-length", "0.25")
    assert "--overwrite replaces it" in weakbeam(*other).err
    assert weakbeam(*other, "--overwrite").status == 0


@pytest.mark.parametrize("is_compound", [False, True])
def test_a_table_of_segments_in_hdf5(weakbeam, tmp_path, is_compound):
    corners = np.array([[-2.0, -1, 0], [2, -1, 0], [2, 1, 0], [-2, 1, 0]])
    burgers = np.tile([2e-4, -1.5e-4, 0], (4, 1))
    columns = np.hstack([corners, np.roll(corners, -1, axis=0), burgers])
    table = np.rec.fromarrays(columns.T, names="x0,y0,z0,x1,y1,z1,bx,by,bz")
    with h5py.File(tmp_path / "lines.h5", "w") as file:
        if is_compound:
            file["dislocations/segments"] = table
        else:
            for name in table.dtype.names:
                file[name] = table[name]
    done = weakbeam("show", tmp_path / "lines.h5")
    assert done.status == 0, done.err
    assert "4; arms: 4 with 2" in done.out
    assert "0.25 nm: 4 segments" in done.out
    assert (tmp_path / "figures/network.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--montage"], "is a network; it has no frames"),
        (["--burgers-length", "1e9"], "--burgers-length = 1000000000.0: must be from"),
    ],
)
def test_what_makes_no_sense_is_refused(weakbeam, network, tmp_path, arguments, said):
    done = weakbeam("show", network, "-o", tmp_path / "out", *arguments)
    assert done.status != 0
    assert said in done.err
    assert done.err.count("\n") == 1


def test_what_is_no_network_either_is_not_called_damaged(weakbeam, tmp_path):
    (tmp_path / "run.ctrl").write_text("burgMag = 0.25\n")
    done = weakbeam("show", tmp_path / "run.ctrl")
    assert done.status == 2
    assert "is neither HDF5, nor EDF, nor a network" in done.err
