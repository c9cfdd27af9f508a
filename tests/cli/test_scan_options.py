"""What `weakbeam maps` and `weakbeam show` have in common: pixels, background, unit."""

import re

import h5py
import numpy as np
import pytest
from bliss_files import SHAPE, angles, peaked_frames, write_bliss
from drifting_scans import HOT, JUMP, rocking_stack, steady_drift, write_scan

CHI, PHI = angles()
TITLE = "fscan2d chi -0.2 0.1 5 phi 17 0.01 7 0.5 0.51"
STACK = peaked_frames()


@pytest.fixture
def measured(tmp_path):
    return write_bliss(tmp_path / "mosa.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    stack, mu = rocking_stack(drift=steady_drift(61), hot=HOT, jump=JUMP)
    return write_scan(tmp_path_factory.mktemp("scan") / "spoilt.h5", stack, mu)


def test_maps_of_a_region_with_a_mask(weakbeam, measured, tmp_path):
    mask = np.zeros(SHAPE, np.uint8)
    mask[2, 4] = 1
    np.save(tmp_path / "mask.npy", mask)
    choice = ("--roi", "1:5,2:8", "--mask", tmp_path / "mask.npy", "--pixel-nm", "110,40")
    result = weakbeam("maps", measured, "-o", tmp_path / "a", "--background", "100", *choice)
    assert result.status == 0
    assert "4 x 6 pixels of pco_ff (rows 1:5, columns 2:8)" in result.out
    assert "1 pixel is masked" in result.err
    with h5py.File(tmp_path / "a/maps.h5") as file:
        com = file["1.1/maps/phi_com/phi_com"][()]
        row, column = (file[f"1.1/maps/phi_com/{name}"] for name in ("row", "column"))
        np.testing.assert_allclose(row, 0.110 * np.arange(1, 5))
        np.testing.assert_allclose(column, 0.040 * np.arange(2, 8))
        assert row.attrs["units"] == "um"
    assert com.shape == (4, 6)
    assert np.isnan(com[1, 2])
    assert np.isfinite(com).sum() == 23


def test_a_dark_file_is_a_background(weakbeam, measured, tmp_path):
    np.save(tmp_path / "dark.npy", np.full((3, *SHAPE), 100.0))
    plain = ("--format", "none", "-q", "--floor", "0")
    dark = tmp_path / "dark.npy"
    assert weakbeam("maps", measured, "-o", tmp_path / "a", "--dark", dark, *plain).status == 0
    weakbeam("maps", measured, "-o", tmp_path / "b", "--background", "100", *plain)
    roi = ("--roi", "1:5,2:8")
    weakbeam("maps", measured, "-o", tmp_path / "c", "--dark", dark, *roi, *plain)
    maps = []
    for name in "abc":
        with h5py.File(tmp_path / name / "maps.h5") as file:
            maps.append(file["1.1/maps/intensity/intensity"][()])
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[2], maps[0][1:5, 2:8])


@pytest.mark.parametrize(("unit", "shown"), [("deg", "deg"), ("mrad", "mrad"), ("urad", "µrad")])
def test_numbers_are_printed_in_the_unit(weakbeam, measured, tmp_path, unit, shown):
    choice = ("--background", "100", "--format", "none", "--unit", unit)
    result = weakbeam("maps", measured, "-o", tmp_path / "a", *choice)
    line = next(line for line in result.out.splitlines() if line.startswith("phi ("))
    factor = {"deg": 1.0, "mrad": 1e3 * np.pi / 180, "urad": 1e6 * np.pi / 180}[unit]
    assert line.startswith(f"phi ({shown})")
    assert float(line.split()[2]) == pytest.approx(17.03 * factor, rel=1e-3)
    with h5py.File(tmp_path / "a/maps.h5") as file:
        # The file keeps the unit of the motor.
        assert file["1.1/maps/phi_com/phi_com"].attrs["units"] == "deg"


def test_what_spoils_a_scan_is_said_and_mended(weakbeam, spoilt, tmp_path):
    choice = ("--background", "100", "--hot", "8", "--align", "--format", "none")
    result = weakbeam("maps", spoilt, "-o", tmp_path / "a", *choice)
    assert result.status == 0
    assert "4 hot pixels are replaced" in result.err
    assert "frame 37 leaps in brightness" in result.err
    assert "was taken out" in result.err
    plain = weakbeam("maps", spoilt, "-o", tmp_path / "b", "--format", "none")
    assert "see --align" in plain.err


def test_pictures_of_a_part_above_a_background(weakbeam, spoilt, tmp_path):
    mask = np.zeros((72, 96), bool)
    mask[40:50, 60:70] = True
    np.save(tmp_path / "mask.npy", mask)
    part = ("--roi", "5:70,3:90", "--mask", tmp_path / "mask.npy", "--hot", "8", "--align")
    more = ("--background", "median", "--pixel-nm", "40", "--unit", "deg")
    drawn = ("--frame", "30", "--montage", "--pixel", "40,41", "--movie", "gif")
    result = weakbeam("show", spoilt, "-o", tmp_path / "a", *part, *more, *drawn)
    assert result.status == 0
    assert "was taken out" in result.err
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {"frame_0030.png", "montage.png", "curves.png", "movie.gif"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--roi", "1:2"], "--roi = '1:2'"),
        (["--roi", "0:99,0:2"], "--roi = '0:99,0:2': the image has rows 0 to 5"),
        (["--mask", "none.npy"], "--mask = 'none.npy'"),
        (["--hot", "-1"], "--hot = -1.0"),
        (["--pixel-nm", "small"], "--pixel-nm = 'small'"),
        (["--pixel-nm", "0"], "--pixel-nm = '0'"),
        (["--background", "moon"], "--background = 'moon'"),
        (["--dark", "8.1"], "--dark = '8.1'"),
        (["--dark", "1"], "--dark = '1': is the scan itself"),
        (["--dark", "1", "--background", "5"], "cannot be combined"),
        (["--unit", "grad"], "--unit"),
    ],
)
@pytest.mark.parametrize("command", ["maps", "show"])
def test_mistakes_end_in_one_line(weakbeam, measured, tmp_path, command, arguments, said):
    result = weakbeam(command, measured, "-o", tmp_path / "out", *arguments)
    assert result.status == 2
    assert said in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("pixel", [(), ("--pixel-nm", "110,40")], ids=["pixels", "micrometres"])
def test_maps_of_a_region_are_drawn_and_exported_where_they_were(
    weakbeam, measured, tmp_path, pixel
):
    part = ("--roi", "1:5,2:8", *pixel)
    choice = ("--background", "100", "--format", "svg", "--unit", "deg")
    assert weakbeam("maps", measured, "-o", tmp_path / "a", *part, *choice).status == 0
    again = ("-o", tmp_path / "b", "--format", "svg", "--unit", "deg", "--export", "csv")
    assert weakbeam("show", tmp_path / "a/maps.h5", *again).status == 0
    for name in ("phi", "mosaicity"):
        first, second = ((tmp_path / where / f"{name}.svg").read_text() for where in "ab")
        texts = [re.findall(r">([^<>]+)</text>", drawn) for drawn in (first, second)]
        assert texts[0] == texts[1]
        assert f"column of the camera ({'µm' if pixel else 'pixel'})" in texts[0]
    (table,) = (tmp_path / "b").glob("*phi_com*.csv")
    rows = [line for line in table.read_text().splitlines() if not line.startswith("#")]
    start = float(rows[1].split(",")[0])
    assert start == pytest.approx(0.110 if pixel else 1.0)
