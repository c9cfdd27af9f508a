"""Files of BLISS are read in whatever form they come; what is wrong is said in one line."""

import h5py
import numpy as np
import pytest
from bliss_files import SHAPE, angles, frames, write_bliss

from weakbeam.errors import InputError, RunError
from weakbeam.io.foreign import read_scan, read_still, scan_names
from weakbeam.io.frames import read_blocks, read_frames_of
from weakbeam.io.scan_motors import motor_unit_guess

CHI, PHI = angles()
TITLE = "fscan2d chi -0.2 0.1 5 phi 17 0.01 7 0.5 0.51"
STACK = frames(35)


def whole(scan, **options):
    numbers, parts = zip(*read_blocks(scan, **options), strict=True)
    np.testing.assert_array_equal(np.concatenate(numbers), np.arange(scan.frames))
    return np.concatenate(parts)


@pytest.mark.parametrize("place", ["value", "data", "measurement", "positioners"])
def test_positions_are_found_wherever_they_are(tmp_path, place):
    path = write_bliss(tmp_path / "a.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK, place=place)
    scan = read_scan(path)
    assert list(scan.positions) == ["chi", "phi"]
    np.testing.assert_array_equal(scan.positions["phi"], PHI)
    assert scan.units == {"chi": "deg", "phi": "deg"}
    assert (scan.entry, scan.detector, scan.frames, scan.shape) == ("1.1", "pco_ff", 35, SHAPE)
    assert scan.fixed == {"mu": -8.9}
    assert scan.warnings == ()
    assert scan_names(path) == {"1.1": TITLE}


STORED = {
    "contiguous": {},
    "a chunk a frame": {"chunks": (1, *SHAPE)},
    "gzip": {"chunks": (1, *SHAPE), "compression": "gzip"},
    "gzip and shuffle": {"chunks": (1, *SHAPE), "compression": "gzip", "shuffle": True},
    "chunks of many frames": {"chunks": (4, 5, 3), "compression": "gzip"},
    "checksums": {"chunks": (1, *SHAPE), "compression": "gzip", "fletcher32": True},
    "bitshuffle": {"chunks": (1, *SHAPE), "bitshuffle": True},
}


@pytest.mark.parametrize("options", STORED.values(), ids=list(STORED))
@pytest.mark.parametrize("dtype", ["uint16", "float32", ">i4"])
def test_frames_are_read_however_they_are_stored(tmp_path, options, dtype):
    stack = STACK.astype(dtype)
    if "bitshuffle" in options:
        filters = pytest.importorskip("hdf5plugin").Bitshuffle(cname="lz4")
        options = {"chunks": options["chunks"], **filters}
    path = write_bliss(tmp_path / "a.h5", TITLE, {"phi": PHI, "chi": CHI}, stack, options=options)
    scan = read_scan(path)
    np.testing.assert_array_equal(whole(scan), stack)
    np.testing.assert_array_equal(whole(scan, rows=slice(2, 5), workers=1), stack[:, 2:5])
    np.testing.assert_array_equal(read_frames_of(scan, [30, 2]), stack[[30, 2]])


def test_virtual_frames_are_read_from_their_sources(tmp_path):
    sources = [tmp_path / f"scan0001/pco_ff_{k:04d}.h5" for k in range(3)]
    path = write_bliss(tmp_path / "a.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK, sources=sources)
    scan = read_scan(path)
    np.testing.assert_array_equal(whole(scan), STACK)
    np.testing.assert_array_equal(read_frames_of(scan, [0, 13, 34]), STACK[[0, 13, 34]])
    with h5py.File(sources[2], "r+") as file:
        part = file["entry_0000/measurement/data"][:5]
        del file["entry_0000/measurement/data"]
        file["entry_0000/measurement/data"] = part
    with pytest.raises(RunError, match=r"pco_ff_0002.h5 has 5 of 11 frames"):
        whole(scan)
    sources[1].unlink()
    with pytest.raises(RunError, match=r"scan0001/pco_ff_0001.h5 with its frames is missing"):
        whole(scan)


def test_a_master_file_of_external_links(tmp_path):
    write_bliss(tmp_path / "sub.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK)
    with h5py.File(tmp_path / "master.h5", "w") as file:
        file["3.1"] = h5py.ExternalLink("sub.h5", "/1.1")
        file["4.1"] = h5py.ExternalLink("gone.h5", "/1.1")
    scan = read_scan(tmp_path / "master.h5")
    assert scan.entry == "3.1"
    np.testing.assert_array_equal(whole(scan), STACK)
    with pytest.raises(InputError, match=r"has the entries 3\.1"):
        read_scan(tmp_path / "master.h5", "4.1")


@pytest.mark.parametrize(
    ("title", "motors"),
    [
        ("fscan mu 0.29 0.001 35 0.5 0.58", ["mu"]),
        ("ascan mu 0 1 34 0.5", ["mu"]),
        ("a2scan mu 0 1 obpitch 0 2 34 0.5", ["mu", "obpitch"]),
        ("mytomo with mu fast", ["mu"]),
        ("", ["mu", "obpitch"]),
    ],
)
def test_titles_of_many_commands(tmp_path, title, motors):
    x = np.linspace(0, 1, 35)
    path = write_bliss(
        tmp_path / "a.h5", title, {"mu2": x, "obpitch": 2 * x}, STACK, place="positioners"
    )
    with h5py.File(path, "r+") as file:
        del file["1.1/instrument/positioners/mu"]
        file.move("1.1/instrument/positioners/mu2", "1.1/instrument/positioners/mu")
    assert sorted(read_scan(path).positions) == sorted(motors)


def test_first_scan_of_a_file_and_frames_without_a_motor(tmp_path):
    path = write_bliss(tmp_path / "a.h5", "loopscan 5 0.5", {}, STACK[:5])
    write_bliss(path, "ct 1", {}, None, entry="2.1")
    write_bliss(path, TITLE, {"phi": PHI, "chi": CHI}, STACK, entry="10.1")
    assert list(scan_names(path)) == ["1.1", "2.1", "10.1"]
    assert read_scan(path).entry == "10.1"
    assert read_scan(path, "10").entry == "10.1"
    dark = read_still(path, "1")
    np.testing.assert_array_equal(whole(dark), STACK[:5])
    with pytest.raises(InputError, match=r"\(loopscan 5 0.5\) moves no motor"):
        read_scan(path, "1.1")
    with pytest.raises(InputError, match=r"2\.1 has no stack of frames"):
        read_scan(path, "2.1")


def test_an_aborted_scan_is_read_with_a_warning(tmp_path):
    motors = {"phi": PHI, "chi": CHI}
    for name, moved, stack in [
        ("fewer frames", motors, STACK[:23]),
        ("fewer positions", {key: value[:23] for key, value in motors.items()}, STACK),
        ("fewer of both", {key: value[:23] for key, value in motors.items()}, STACK[:23]),
    ]:
        path = write_bliss(tmp_path / f"{name}.h5", TITLE, moved, stack)
        with h5py.File(path, "r+") as file:
            file["1.1/end_reason"][()] = "USER_ABORT"
        scan = read_scan(path)
        assert scan.frames == 23
        assert any(
            "23 of 35 frames with their positions: an aborted scan" in w for w in scan.warnings
        )
        assert any("ended with USER_ABORT" in warning for warning in scan.warnings)
        np.testing.assert_array_equal(whole(scan), STACK[:23])


def test_several_detectors(tmp_path):
    path = write_bliss(tmp_path / "a.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK)
    with h5py.File(path, "r+") as file:
        file["1.1/instrument/basler/data"] = STACK[:, :2]
        file["1.1/instrument/pco_a/image"] = STACK[:1, :3]
    scan = read_scan(path)
    assert scan.detector == "pco_ff"
    assert "has the detectors pco_ff, basler, pco_a: pco_ff is read" in scan.warnings[0]
    assert read_scan(path, detector="basler").shape == (2, 9)
    with pytest.raises(InputError, match="detector = 'eiger'"):
        read_scan(path, detector="eiger")


def test_what_cannot_be_read_is_told_in_one_line(tmp_path):
    good = write_bliss(tmp_path / "good.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK)
    short = tmp_path / "short.h5"
    short.write_bytes(good.read_bytes()[:4000])
    text = tmp_path / "text.h5"
    text.write_text("no HDF5")
    other = tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["data"] = 1
    missing = write_bliss(tmp_path / "missing.h5", TITLE, {"phi": PHI}, STACK)
    nan = write_bliss(tmp_path / "nan.h5", TITLE, {"phi": PHI, "chi": CHI + np.nan}, STACK)
    still = write_bliss(tmp_path / "still.h5", TITLE, {"phi": 0 * PHI, "chi": 0 * CHI}, STACK)
    for path, arguments, said in [
        (tmp_path / "none.h5", (), "there is no such file"),
        (short, (), "is no readable HDF5 file"),
        (text, (), "is no readable HDF5 file"),
        (other, (), "has no entries"),
        (good, ("5.1",), r"has the entries 1\.1"),
        (good, ("1.1", None, ("foo",)), "motor = 'foo': .* it has: chi, .*phi"),
        (missing, (), "motor = 'chi'"),
        (nan, (), "no finite numbers"),
        (still, (), "moves no motor"),
    ]:
        with pytest.raises(InputError, match=said) as caught:
            read_scan(path, *arguments)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="frames 0 to 34"):
        read_frames_of(read_scan(good), [35])


def test_frames_that_are_damaged(tmp_path):
    options = {"chunks": (1, *SHAPE), "compression": "gzip", "shuffle": True}
    path = write_bliss(tmp_path / "a.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK, options=options)
    with h5py.File(path, "r+") as file:
        stack = file["1.1/instrument/pco_ff/image"]
        stack.id.write_direct_chunk((17, 0, 0), b"no gzip stream")
    with pytest.raises(RunError, match="frame 17 cannot be read"):
        whole(read_scan(path))
    with pytest.raises(RunError, match="frame 17 cannot be read"):
        read_frames_of(read_scan(path), [17])


def test_the_folder_of_a_run_stands_for_its_file(tmp_path):
    phi = np.linspace(-0.1, 0.1, 7)
    (tmp_path / "run").mkdir()
    write_bliss(tmp_path / "run/weakbeam.h5", "fscan phi", {"phi": phi}, frames(7))
    assert read_scan(tmp_path / "run").path == tmp_path / "run/weakbeam.h5"
    assert read_scan(str(tmp_path / "run")).frames == 7


def test_units_of_motors_by_name():
    for name in ("phi", "chi", "mu", "diffry", "diffrz", "obpitch", "ccmth"):
        assert motor_unit_guess(name) == "deg"
    for name in ("samz", "obx", "ffz", "mainx", "uz", "s8vg"):
        assert motor_unit_guess(name) == "mm"
    assert motor_unit_guess("temperature") == ""


def test_counters_are_not_offered_as_motors(tmp_path):
    path = write_bliss(tmp_path / "a.h5", TITLE, {"phi": PHI, "chi": CHI}, STACK)
    with h5py.File(path, "r+") as file:
        instrument = file["1.1/instrument"]
        instrument["pco_ff_sum/data"] = STACK.sum(axis=(1, 2))
        instrument["pco_ff_sum"].attrs["NX_class"] = "NXdetector"
        instrument["phi"].attrs["NX_class"] = "NXpositioner"
        instrument["positioners/chi"] = h5py.SoftLink("/1.1/instrument/chi/value")
    with pytest.raises(InputError, match=r"it has: chi, phi$"):
        read_scan(path, motors=("mu",))
    assert read_scan(path, motors=("pco_ff_sum",)).positions["pco_ff_sum"].shape == (35,)
