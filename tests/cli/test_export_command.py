"""``weakbeam show``: files of maps drawn anew, exported arrays, scans of EDF images."""

from __future__ import annotations

import csv
import io

import h5py
import numpy as np
import pytest
from bliss_files import angles, peaked_frames, write_bliss
from PIL import Image

from weakbeam.experiment import Experiment
from weakbeam.run.record import record

CHI, PHI = angles()
STACK = peaked_frames()
TITLE = "fscan2d chi -0.2 0.1 5 phi 17 0.01 7 0.5 0.51"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    settings = [
        "camera.pixels=[8, 11]",
        "camera.oversampling=point",
        "camera.rotation_deg=90",
        "output.figures=false",
        "scan.phi.half_range_mrad=0.6",
        "scan.phi.steps=9",
    ]
    experiment = Experiment().with_settings(settings)
    return record(experiment, tmp_path_factory.mktemp("run") / "run").file


@pytest.fixture
def measured(tmp_path):
    return write_bliss(tmp_path / "mosa.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK)


def edf_image(values, number, position):
    header = (
        f"{{\nHeaderID = EH:000001:000000:000000 ;\nByteOrder = LowByteFirst ;\n"
        f"DataType = UnsignedShort ;\nDim_1 = {values.shape[1]} ;\nDim_2 = {values.shape[0]} ;\n"
        f"motor_mne = diffry chi ;\nmotor_pos = {position:.6f} 0.3 ;\n"
        f"scan = ascan diffry 1 2 5 1 ;\nscan_no = 4 ;\npoint_no = {number} ;\n"
    ).encode()
    header += b" " * (-(len(header) + 2) % 512) + b"}\n"
    return header + values.astype("<u2").tobytes()


@pytest.fixture
def edf(tmp_path):
    folder = tmp_path / "2017"
    folder.mkdir()
    for number in range(5):
        values = np.arange(12).reshape(3, 4) + 100 * number
        (folder / f"strain_{number:04d}.edf").write_bytes(
            edf_image(values, number, 1 + 0.25 * number)
        )
    return folder


def names(result):
    return sorted(line.rpartition("/")[2] for line in result.out.splitlines())


def read_csv(path):
    """Comments, the cell that names the axes, rows, columns and values."""
    lines = path.read_text().splitlines()
    comments = [line for line in lines if line.startswith("#")]
    head, *rows = csv.reader(io.StringIO("\n".join(lines[len(comments) :])))
    numbers = np.array(rows, dtype=float)
    return comments, head[0], numbers[:, 0], np.array(head[1:], dtype=float), numbers[:, 1:]


@pytest.mark.parametrize("source", ["measured", "run"])
def test_a_file_of_maps_is_drawn_as_it_was(weakbeam, request, tmp_path, source):
    file = request.getfixturevalue(source)
    made, again = tmp_path / "made", tmp_path / "again"
    options = ["--background", "minimum"] if source == "measured" else []
    assert weakbeam("maps", file, "-o", made, *options).status == 0
    result = weakbeam("show", made / "maps.h5", "-o", again)
    assert result.status == 0, result.err
    pictures = sorted(path.name for path in made.glob("*.png"))
    assert names(result) == pictures
    assert ("mosaicity.png" in pictures) == (source == "measured")
    for name in pictures:
        assert (made / name).read_bytes() == (again / name).read_bytes(), name


def test_the_folder_of_a_run_stands_for_its_file(weakbeam, run, tmp_path):
    result = weakbeam("show", run.parent, "-o", tmp_path, "--frame", 2)
    assert names(result) == ["frame_0002.png"]


def test_a_file_of_maps_has_no_frames(weakbeam, measured, tmp_path):
    weakbeam("maps", measured, "-o", tmp_path / "made", "--format", "none")
    result = weakbeam("show", tmp_path / "made/maps.h5", "--frame", 0)
    assert result.status == 2
    assert "is a file of maps; it has no frames" in result.err


def test_exported_maps_come_back(weakbeam, measured, tmp_path):
    weakbeam("maps", measured, "-o", tmp_path / "made", "--background", 100, "--format", "none")
    choice = [flag for kind in ("npy", "tiff", "csv") for flag in ("--export", kind)]
    out = tmp_path / "out"
    result = weakbeam("show", tmp_path / "made/maps.h5", "-o", out, "--format", "none", *choice)
    assert result.status == 0, result.err
    assert {"1.1_chi_com_deg.npy", "1.1_phi_skewness.csv", "1.1_intensity_counts.tiff"} <= {
        *names(result)
    }
    with h5py.File(tmp_path / "made/maps.h5") as file:
        expected = file["1.1/maps/phi_com/phi_com"][()]
    np.testing.assert_array_equal(np.load(out / "1.1_phi_com_deg.npy"), expected)
    with Image.open(out / "1.1_phi_com_deg.tiff") as image:
        assert image.mode == "F"
        np.testing.assert_array_equal(np.asarray(image), expected.astype(np.float32))
        assert "phi_com (deg): centre of mass of phi" in image.tag_v2[270]
    comments, cell, rows, columns, values = read_csv(out / "1.1_phi_com_deg.csv")
    assert "phi_com (deg): centre of mass of phi" in comments[1]
    assert cell == "row (pixel) \\ column (pixel)"
    np.testing.assert_array_equal(rows, np.arange(6))
    np.testing.assert_array_equal(columns, np.arange(9))
    np.testing.assert_array_equal(values, expected)


def test_exported_maps_of_a_run_have_its_axes(weakbeam, run, tmp_path):
    result = weakbeam("show", run, "-o", tmp_path, "--format", "none", "--export", "csv")
    assert result.status == 0, result.err
    assert {"1.1_image_sum.csv", "1.1_phi_com_deg.csv"} <= {*names(result)}
    _, cell, rows, columns, values = read_csv(tmp_path / "1.1_phi_com_deg.csv")
    # Turned by a quarter of a circle: the rows follow y.
    assert cell == "y (um) \\ x (um)"
    with h5py.File(run) as file:
        group = file["1.1/maps/phi_com"]
        np.testing.assert_allclose(rows, group["y"][()], rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(columns, group["x"][()], rtol=1e-8, atol=1e-8)
        np.testing.assert_array_equal(values, group["phi_com"][()])


def test_exported_frames_come_back(weakbeam, measured, tmp_path):
    choice = ["--frame", 3, "--frame", 17, "--export", "npy", "--export", "tiff", "--export", "csv"]
    result = weakbeam("show", measured, "-o", tmp_path, "--format", "none", *choice)
    assert names(result) == sorted(
        f"1.1_frame_{number}_counts.{kind}"
        for number in ("0003", "0017")
        for kind in ("npy", "tiff", "csv")
    )
    loaded = np.load(tmp_path / "1.1_frame_0017_counts.npy")
    assert loaded.dtype == np.uint16
    np.testing.assert_array_equal(loaded, STACK[17])
    with Image.open(tmp_path / "1.1_frame_0003_counts.tiff") as image:
        np.testing.assert_array_equal(np.asarray(image), STACK[3].astype(np.float32))
    comments, *_, values = read_csv(tmp_path / "1.1_frame_0003_counts.csv")
    np.testing.assert_array_equal(values, STACK[3])
    assert "φ = 17.030" in comments[1]


def test_nothing_exported_is_replaced_unasked(weakbeam, measured, tmp_path):
    call = ["show", measured, "-o", tmp_path, "--format", "none", "--frame", 3, "--export"]
    assert weakbeam(*call, "npy").status == 0
    before = (tmp_path / "1.1_frame_0003_counts.npy").read_bytes()
    result = weakbeam(*call, "tiff", "--export", "npy")
    assert result.status == 2
    assert "exists: --overwrite" in result.err
    assert not list(tmp_path.glob("*.tiff"))
    assert weakbeam(*call, "npy", "--overwrite").status == 0
    assert (tmp_path / "1.1_frame_0003_counts.npy").read_bytes() == before
    # What is of another kind stays in any case.
    (tmp_path / "1.1_frame_0003_counts.csv").write_text("mine\n")
    result = weakbeam(*call, "csv", "--overwrite")
    assert result.status == 2
    assert (tmp_path / "1.1_frame_0003_counts.csv").read_text() == "mine\n"


@pytest.mark.parametrize("how", ["folder", "pattern", "files"])
def test_pictures_of_edf_images(weakbeam, edf, tmp_path, how):
    named = {"folder": [edf], "pattern": [edf / "*.edf"], "files": sorted(edf.iterdir())}[how]
    result = weakbeam("show", *named, "-o", tmp_path / "out")
    assert result.status == 0, result.err
    assert names(result) == ["frame_0002.png", "montage.png"]
    choice = ["--entry", 4, "--frame", 3, "--export", "npy", "--pixel", "1,2"]
    result = weakbeam("show", *named, "-o", tmp_path / "other", *choice)
    assert result.status == 0, result.err
    assert names(result) == ["4_curves.png", "4_frame_0003.png", "4_frame_0003_counts.npy"]
    frame = np.load(tmp_path / "other/4_frame_0003_counts.npy")
    np.testing.assert_array_equal(frame, np.arange(12).reshape(3, 4) + 300)


def test_one_edf_image_without_motors_that_move(weakbeam, edf, tmp_path):
    result = weakbeam("show", edf / "strain_0002.edf", "-o", tmp_path / "out")
    assert result.status == 0, result.err
    assert names(result) == ["frame_0000.png"]


def test_mistakes_of_sources(weakbeam, measured, edf, tmp_path):
    result = weakbeam("show", measured, measured)
    assert (result.status, "must be one file, or EDF images" in result.err) == (2, True)
    result = weakbeam("show", tmp_path / "none.edf")
    assert (result.status, "there is no such file" in result.err) == (2, True)
    result = weakbeam("show", edf, "--entry", 7, "-o", tmp_path / "x")
    assert (result.status, "has the scans 4" in result.err) == (2, True)
    assert not (tmp_path / "x").exists()
