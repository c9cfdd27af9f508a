"""``weakbeam maps``, as a user calls it."""

import h5py
import numpy as np
import pytest
from bliss_files import SHAPE, angles, peaked_frames, write_bliss

CHI, PHI = angles()
TITLE = "fscan2d chi -0.2 0.1 5 phi 17 0.01 7 0.5 0.51"
STACK = peaked_frames()


@pytest.fixture
def measured(tmp_path):
    path = write_bliss(tmp_path / "mosa.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK)
    dark = np.full((4, *SHAPE), 100, np.uint16)
    return write_bliss(path, "loopscan 4 0.5", {}, dark, entry="2.1")


def com_of(path, motor="phi"):
    with h5py.File(path) as file:
        return file[f"1.1/maps/{motor}_com/{motor}_com"][()]


def test_maps_and_figures_of_a_scan(weakbeam, measured, tmp_path):
    before = measured.read_bytes()
    choice = ("--background", "100", "--floor", "0")
    result = weakbeam("maps", measured, "-o", tmp_path / "maps", *choice)
    assert (result.status, result.err) == (0, "")
    assert "35 frames of 6 x 9 pixels of pco_ff, grid of 5 x 7" in result.out
    assert "phi (deg)" in result.out
    names = {path.name for path in (tmp_path / "maps").iterdir()}
    figures = {"intensity", "chi", "phi", "mosaicity", "misorientation"}
    assert names == {"maps.h5", *(f"{name}.png" for name in figures)}
    assert measured.read_bytes() == before
    assert "FWHM of sum" in result.out
    above = STACK - 100.0
    expected = np.einsum("nij,n->ij", above, PHI) / above.sum(axis=0)
    np.testing.assert_allclose(com_of(tmp_path / "maps/maps.h5"), expected, rtol=1e-12)
    with h5py.File(tmp_path / "maps/maps.h5") as file:
        process = file["1.1/process"]
        assert process["phi_fwhm_of_sum"].attrs["units"] == "deg"
        assert process["noise"][()] == pytest.approx(10.0, rel=0.3)
        assert process["floor"][()] == 0.0


def test_dark_frames_and_a_constant_are_the_same_background(weakbeam, measured, tmp_path):
    plain = ("--format", "none", "-q")
    assert weakbeam("maps", measured, "-o", tmp_path / "a", "--dark", "2", *plain).status == 0
    weakbeam("maps", measured, "-o", tmp_path / "b", "--background", "100", *plain)
    both = [com_of(tmp_path / name / "maps.h5") for name in "ab"]
    np.testing.assert_array_equal(*both)
    result = weakbeam("maps", measured, "-o", tmp_path / "c", "--dark", "2", "--background", "5")
    assert result.status == 2


def test_default_folder_and_warnings(weakbeam, measured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = weakbeam("maps", measured, "--format", "none")
    assert result.status == 0
    assert "a background draws centres of mass" in result.err
    assert (tmp_path / "mosa_maps/maps.h5").is_file()
    again = weakbeam("maps", measured, "--format", "none")
    assert again.status == 2
    assert again.err.count("\n") == 1
    assert "--overwrite" in again.err
    assert weakbeam("maps", measured, "--format", "none", "--overwrite").status == 0


def test_list_of_the_entries(weakbeam, measured):
    assert weakbeam("maps", measured, "--list").out == f"1.1  {TITLE}\n2.1  loopscan 4 0.5\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["9.1"], "entry = '9.1'"),
        (["2.1"], "moves no motor"),
        (["--motor", "foo"], "--motor = 'foo'"),
        (["--detector", "eiger"], "--detector = 'eiger'"),
        (["--background", "moon"], "--background = 'moon'"),
        (["--background", "nan"], "--background = 'nan'"),
        (["--threshold", "120%"], "--threshold = '120%'"),
        (["--threshold", "-1"], "--threshold = '-1'"),
        (["--threshold", "1e9"], "leaves no pixel"),
        (["--kernel", "4"], "--kernel = 4"),
        (["--dark", "7"], "--dark = '7'"),
        (["--floor", "-2"], "--floor = -2"),
        (["--skip", "3-x"], "--skip = '3-x'"),
        (["--skip", "30-40"], "frames 0 to 34"),
        (["--skip", "0-99999999"], "more frames than any scan"),
        (["--monitor", "pico4"], "--monitor = 'pico4'"),
        (["--motor", "phi", "--motor", "phi"], "names a motor twice"),
        (["--entries", "1-2"], "goes together with --over"),
        (["--over", "mu"], "goes together with --over"),
        (["1.1", "--entries", "1-2", "--over", "mu"], "cannot be combined"),
        (["--entries", "1-2", "--over", "mu"], "moves no motor"),
        (["--entries", "1,1", "--over", "mu"], "names an entry twice"),
        (["--entries", "1-9", "--over", "mu"], "--entries = '1-9': "),
        (["--skip", "9-3"], "--skip = '9-3'"),
        (["--skip", "3-"], "--skip = '3-'"),
        (["--theta", "-9"], "--theta = -9.0"),
        (["--theta", "nan"], "--theta = nan"),
        (["--floor", "1e9", "--background", "100"], "--floor = 1000000000.0: leaves no pixel"),
        (["1.1", "--dark", "1"], "--dark = '1': is the scan itself"),
        (["--monitor", "phi"], "is a motor of the scan"),
    ],
)
def test_mistakes_end_in_one_line_and_leave_nothing(weakbeam, measured, tmp_path, arguments, said):
    result = weakbeam("maps", measured, *arguments, "-o", tmp_path / "maps")
    assert result.status == 2
    assert said in result.err
    assert result.err.count("\n") == 1
    assert not (tmp_path / "maps").exists()


def test_frames_are_skipped_and_named(weakbeam, measured, tmp_path):
    choice = ("--background", "100", "--skip", "0,7-13", "--format", "none")
    result = weakbeam("maps", measured, "-o", tmp_path / "maps", *choice)
    assert "frames 0, 7-13 left out, as asked for" in result.err
    with h5py.File(tmp_path / "maps/maps.h5") as file:
        left_out = file["1.1/process/frames_left_out"][()]
    assert left_out.tolist() == [0, *range(7, 14)]


def test_entries_over_a_motor(weakbeam, tmp_path):
    path = tmp_path / "a.h5"
    for k in range(3):
        stack = 100 + ((STACK - 100.0) * (1.0, 2.0, 1.0)[k]).astype(np.uint16)
        write_bliss(path, TITLE, {"phi": PHI, "chi": CHI}, stack, entry=f"{k + 1}.1")
        with h5py.File(path, "r+") as file:
            file[f"{k + 1}.1/instrument/positioners/ccmth"] = 6.9 + 0.001 * k
    arguments = ("--entries", "1-3", "--over", "ccmth", "--background", "100")
    result = weakbeam("maps", path, "-o", tmp_path / "maps", *arguments, "--format", "none")
    assert result.status == 0
    assert "105 frames of 6 x 9 pixels of pco_ff, grid of 3 x 5 x 7" in result.out
    with h5py.File(tmp_path / "maps/maps.h5") as file:
        com = file["1.1-3.1/maps/ccmth_com/ccmth_com"][()]
    np.testing.assert_allclose(com, 6.901, atol=1e-5)


def test_edf_images_of_a_scan(weakbeam, tmp_path):
    for k in range(21):
        light = np.exp(-0.5 * ((k - 10) / 3.0) ** 2)
        image = np.full(SHAPE, 100 + 2000 * light).astype("<u2")
        header = (
            f"{{ DataType = UnsignedShort ; Dim_1 = {SHAPE[1]} ; Dim_2 = {SHAPE[0]} ; "
            f"scan = ascan diffry 0 0.2 20 1 ; point_no = {k} ; "
            f"motor_mne = diffry ; motor_pos = {0.01 * k:.4f} ;"
        )
        (tmp_path / f"strain_{k}.edf").write_bytes(
            header.ljust(510).encode() + b"}\n" + bytes(image)
        )
    files = sorted(tmp_path.glob("*.edf"))
    for number, source in enumerate(([tmp_path], [tmp_path / "*.edf"], files)):
        folder = tmp_path / f"maps{number}"
        result = weakbeam("maps", *source, "-o", folder, "--background", "100", "--format", "none")
        assert (result.status, result.err) == (0, "")
        with h5py.File(folder / "maps.h5") as file:
            np.testing.assert_allclose(file["1/maps/diffry_com/diffry_com"][()], 0.1, atol=1e-6)
    listed = weakbeam("maps", tmp_path, "--list")
    assert listed.out == "1  ascan diffry 0 0.2 20 1\n"
    assert weakbeam("maps", files[0], files[1], "b.h5").status == 2


def test_strain_scan(weakbeam, tmp_path):
    arm = 20.8 + np.linspace(-0.1, 0.1, 35)
    path = write_bliss(tmp_path / "s.h5", "fscan obpitch 20.7 0.01 35 1", {"obpitch": arm}, STACK)
    result = weakbeam("maps", path, "-o", tmp_path / "maps", "--background", "100")
    assert "apparent strain, spread" in result.out
    assert "the arm was scanned alone" in result.err
    assert (tmp_path / "maps/strain.png").is_file()
    assert not (tmp_path / "maps/misorientation.png").exists()
    wrong = weakbeam("maps", path, "-o", tmp_path / "no", "--theta", "95")
    assert wrong.status == 2
    assert "--theta = 95.0: must be a Bragg angle" in wrong.err


ODD = {
    "one pixel is bright enough": (slice(None), slice(None), "99%"),
    "one row": (slice(0, 1), slice(None), "0"),
    "one column": (slice(None), slice(0, 1), "0"),
    "one pixel": (slice(0, 1), slice(0, 1), "0"),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("rows", "columns", "threshold"), ODD.values(), ids=list(ODD))
def test_odd_images_are_mapped_and_drawn(weakbeam, tmp_path, rows, columns, threshold):
    stack = STACK[:, rows, columns]
    path = write_bliss(tmp_path / "odd.h5", TITLE, {"phi": PHI, "chi": CHI}, stack)
    choice = ["--background", "100", "--threshold", threshold]
    result = weakbeam("maps", path, "-o", tmp_path / "maps", *choice)
    assert (result.status, result.err) == (0, "")
    assert (tmp_path / "maps/mosaicity.png").is_file()


@pytest.mark.filterwarnings("error")
def test_one_or_two_frames_are_a_scan_too(weakbeam, tmp_path):
    for count in (2, 3):
        motors = {"phi": np.arange(count) * 0.01}
        title = f"fscan phi 0 0.01 {count} 1"
        path = write_bliss(tmp_path / f"{count}.h5", title, motors, STACK[15 : 15 + count])
        result = weakbeam("maps", path, "-o", tmp_path / f"maps{count}", "--background", "100")
        assert result.status == 0
        assert "curves do not fall off inside the scan of phi" in result.err
        assert len(result.err.splitlines()) == 1


def test_a_center_at_zero_is_printed_as_zero(weakbeam, tmp_path):
    mu = np.linspace(-0.3, 0.3, 61)
    light = np.exp(-0.5 * (mu / 0.05) ** 2)[:, None, None] * np.linspace(0.5, 2.0, 30)
    path = write_bliss(
        tmp_path / "even.h5", "fscan mu -0.3 0.01 61 0.1", {"mu": mu}, light * np.ones((61, 6, 30))
    )
    result = weakbeam("maps", path, "-o", tmp_path / "maps", "--format", "none")
    (line,) = (line for line in result.out.splitlines() if line.startswith("mu (deg)"))
    assert line.split()[2] == "0"
