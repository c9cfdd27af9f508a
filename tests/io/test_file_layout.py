"""The structure that silx, darfix, darling and NeXus readers rely on, seen with h5py alone."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from datetime import datetime

import h5py
import numpy as np
import pytest
from conftest import CHI, PHI, make_entry, make_frames, write_file

from weakbeam.io.entry import Entry, ImageAxis, beamline_positions, scan_title

LAYER = np.linspace(-0.002, 0.002, 5)
SCANS = {
    "mosaicity": {"chi": CHI, "phi": PHI},
    "rocking": {"phi": PHI},
    "irregular": {"phi": np.array([-0.03, 0.0, 0.01])},
    "strain": {"obpitch": 17.9 + PHI},
    "layers": {"diffrz": LAYER},
    "one position": {"phi": PHI[:1]},
    "single": {},
}


FILES = [(scan, "uint16", "single") for scan in SCANS] + [
    ("mosaicity", "float32", "single"),
    ("mosaicity", "uint16", "bliss"),
    ("single", "float32", "bliss"),
]


@pytest.fixture(scope="module", params=FILES, ids=" ".join)
def case(request) -> tuple[str, str, str]:
    return request.param


@pytest.fixture
def motors(case) -> dict[str, np.ndarray]:
    return SCANS[case[0]]


@pytest.fixture(scope="module")
def file(case, tmp_path_factory):
    scan, dtype, layout = case
    entry = make_entry(SCANS[scan], dtype=dtype)
    path = write_file(tmp_path_factory.mktemp("run") / "weakbeam.h5", entry, entry, layout=layout)
    with h5py.File(path) as opened:
        yield opened


def every_object(group):
    """Groups and datasets with their paths, without following soft links."""
    found = []
    group.visititems(lambda name, item: found.append((name, item)))
    return found


def follow_default(group):
    while "default" in group.attrs:
        group = group[group.attrs["default"]]
    return group


def test_groups_have_their_class_and_floats_their_unit(file):
    assert file.attrs["NX_class"] == "NXroot"
    for name, item in every_object(file):
        if isinstance(item, h5py.Group):
            assert re.fullmatch(r"NX[a-z_]+", item.attrs["NX_class"]), name
        elif item.dtype.kind == "f":
            assert isinstance(item.attrs["units"], str), name


def test_root_holds_entries_only_and_says_who_wrote_it(file):
    assert list(file) == ["1.1", "2.1"]
    assert file.attrs["creator"] == "weakbeam"
    assert {"creator_version", "file_time", "h5py_version", "HDF5_Version"} <= set(file.attrs)
    assert "publisher" not in file.attrs
    assert all(file[name].attrs["NX_class"] == "NXentry" for name in file)


def test_the_image_is_the_only_stack_of_an_entry(file, motors):
    stacks = [
        name
        for name, item in every_object(file["1.1"])
        if isinstance(item, h5py.Dataset) and item.ndim == 3
    ]
    assert stacks == ["instrument/pco_ff/image"]
    image = file["1.1/instrument/pco_ff/image"]
    assert image.shape[0] == math.prod(len(values) for values in motors.values())
    assert image.attrs["interpretation"] == "image"
    for link in ("instrument/pco_ff/data", "measurement/pco_ff", "stack/image"):
        assert isinstance(file["1.1"].get(link, getlink=True), h5py.SoftLink)
        assert file["1.1"][link] == image


def test_every_link_resolves_and_none_is_external(file):
    def visit(group):
        for name in group:
            link = group.get(name, getlink=True)
            assert not isinstance(link, h5py.ExternalLink)
            item = group[name]
            if isinstance(item, h5py.Group) and isinstance(link, h5py.HardLink):
                visit(item)

    visit(file)


def test_default_chain_ends_at_the_summed_image_in_um(file):
    plot = follow_default(file)
    assert plot.name == "/1.1/plot"
    rows, columns = (plot[name] for name in plot.attrs["axes"])
    image = plot[plot.attrs["signal"]]
    assert image.shape == (rows.size, columns.size)
    assert rows.attrs["units"] == columns.attrs["units"] == "um"
    frames = file["1.1/instrument/pco_ff/image"][()]
    assert np.allclose(image, frames.sum(axis=0, dtype=float), rtol=1e-12)


def test_nxdata_groups_have_a_signal_and_axes_that_fit(file):
    groups = [g for _, g in every_object(file) if g.attrs.get("NX_class") == "NXdata"]
    assert groups
    for group in groups:
        signal = group[group.attrs["signal"]]
        axes = list(group.attrs["axes"])
        assert len(axes) == signal.ndim
        for length, axis in zip(signal.shape, axes, strict=True):
            assert axis == "." or group[axis].shape == (length,)


def test_motors_stand_where_readers_look_for_them(file, motors):
    entry = file["1.1"]
    for name, unit in [("obpitch", "deg"), ("mu", "deg"), ("obx", "mm"), ("mainx", "mm")]:
        if name not in motors:
            assert entry[f"instrument/positioners/{name}"].shape == ()
            assert entry[f"instrument/positioners/{name}"].attrs["units"] == unit
    grids = np.meshgrid(*motors.values(), indexing="ij") if motors else []
    for name, grid in zip(motors, grids, strict=True):
        value = entry[f"instrument/{name}/value"]
        assert entry[f"instrument/{name}"].attrs["NX_class"] == "NXpositioner"
        assert np.array_equal(value, grid.ravel())
        assert value.attrs["units"] == ("mm" if name == "diffrz" else "deg")
        assert entry[f"instrument/positioners/{name}"] == value
        assert entry[f"measurement/{name}"] == value
    if "diffrz" in motors:
        assert entry["instrument/diffrz/data"] == entry["instrument/diffrz/value"]


def test_title_gives_the_grid_as_darling_parses_it(file, motors):
    words = file["1.1/title"].asstr()[()].split(" ")
    command = words[0]
    assert command == {0: "loopscan", 1: "fscan", 2: "fscan2d"}[len(motors)]
    if motors:
        names, steps = words[1:-1:4], words[4:-1:4]
        assert names == list(motors)
        assert [int(n) for n in steps] == [len(values) for values in motors.values()]
    assert float(words[-1]) == 0.5


def test_times_are_iso_8601_with_offset(file):
    entry = file["1.1"]
    start, end = (datetime.fromisoformat(entry[n].asstr()[()]) for n in ("start_time", "end_time"))
    assert start.tzinfo is not None
    assert start <= end
    assert entry["end_reason"].asstr()[()] == "SUCCESS"


def test_intensity_over_the_scan(file, motors):
    frames = file["1.1/instrument/pco_ff/image"][()]
    expected = frames.sum(axis=(1, 2), dtype=float)
    assert np.allclose(file["1.1/measurement/pco_ff_sum"], expected, rtol=1e-12)
    if motors:
        shape = tuple(len(values) for values in motors.values())
        scan_map = file["1.1/scan_map"]
        assert np.allclose(scan_map["intensity"], expected.reshape(shape), rtol=1e-12)
        for name, values in motors.items():
            assert np.array_equal(scan_map[name], values)
    else:
        assert "scan_map" not in file["1.1"]


def test_defects_are_a_table_that_entries_may_share(write, mosaicity):
    shared = replace(mosaicity, defects="1.1")
    with h5py.File(write(mosaicity, shared), "r") as file:
        _check_defects(file["1.1/sample/defects"])
        assert file["1.1/sample/defects"] == file["2.1/sample/defects"]


def _check_defects(table):
    assert list(table["kind"].asstr()) == ["dislocation", "wall"]
    assert np.array_equal(table["burgers_vector"], [[1, 0, -1], [np.nan] * 3], equal_nan=True)
    assert np.array_equal(table["spacing"], [np.nan, 0.5], equal_nan=True)
    assert table["spacing"].attrs["units"] == "um"


def test_simulation_tells_how_to_get_it_again(file):
    simulation = file["1.1/simulation"]
    assert simulation["configuration/data"].asstr()[()] == "[beam]\nenergy_keV = 17.0  # µm, θ\n"
    assert simulation["program"].asstr()[()] == "weakbeam"
    assert simulation["seed"][()] == 7
    assert np.__version__ == simulation["environment/numpy"].asstr()[()]


def test_frames_off_a_grid_become_scattered_points(write):
    grid = make_entry({"chi": CHI, "phi": PHI})
    zigzag = grid.moving["phi"].reshape(3, 4).copy()
    zigzag[1] = zigzag[1, ::-1]
    entry = Entry(**{**vars(grid), "moving": {**grid.moving, "phi": zigzag.ravel()}})
    with h5py.File(write(entry)) as file:
        scan_map = file["1.1/scan_map"]
        assert (
            scan_map["intensity"].shape == scan_map["chi"].shape == scan_map["phi"].shape == (12,)
        )
        assert np.array_equal(scan_map["phi"], zigzag.ravel())


def test_moving_the_folder_breaks_nothing(write, mosaicity, tmp_path):
    path = write(mosaicity, layout="bliss")
    path.parent.rename(tmp_path / "elsewhere")
    with h5py.File(tmp_path / "elsewhere" / "weakbeam.h5") as file:
        image = file["1.1/instrument/pco_ff/image"]
        assert [s.file_name for s in image.virtual_sources()] == ["scan0001/pco_ff_0000.h5"]
        assert np.array_equal(image, make_frames(mosaicity))


@pytest.mark.parametrize("compression", ["gzip", "none", "bitshuffle-lz4"])
def test_every_compression_gives_the_frames_back(write, mosaicity, compression):
    if compression == "bitshuffle-lz4":
        pytest.importorskip("hdf5plugin")
    with h5py.File(write(mosaicity, compression=compression)) as file:
        image = file["1.1/instrument/pco_ff/image"]
        assert image.chunks == (1, 5, 7)
        assert np.array_equal(image, make_frames(mosaicity))


def test_scan_titles():
    chi, phi = np.linspace(-1, 1, 5), np.linspace(-0.1, 0.1, 3)
    title = scan_title([("chi", chi), ("phi", phi)], 1.0)
    assert title == "fscan2d chi -1 0.5 5 phi -0.1 0.1 3 1"
    assert scan_title([("phi", [0.0, 0.1, 0.4])], 0.5) == "fscan phi 0 0.2 3 0.5"
    assert scan_title([], 0.5) == "loopscan 1 0.5"
    with pytest.raises(ValueError, match="at most two"):
        scan_title([("chi", chi), ("phi", phi), ("mu", phi)], 1.0)


def test_beamline_positions_give_pixel_size_and_angle_back():
    two_theta = math.radians(17.9463)
    positions = beamline_positions(two_theta, object_distance_mm=274.0, magnification=162.5)
    value = {name: number for name, (number, _) in positions.items()}
    magnification = -value["mainx"] / value["obx"] - 1
    assert 6.5 / magnification == pytest.approx(0.040, rel=1e-12)
    assert math.atan2(value["ffz"], -value["mainx"]) == pytest.approx(two_theta, rel=1e-12)
    assert value["obx"] / math.cos(two_theta) == pytest.approx(274.0, rel=1e-12)
    assert value["obpitch"] == pytest.approx(17.9463, rel=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float64"}, "float32 or uint16"),
        ({"scan_shape": (12,)}, "one length for each"),
        ({"scan_shape": (3, 5)}, "one position for each"),
        (
            {"image_axes": (ImageAxis("z", np.zeros(5), ""), ImageAxis("y", np.zeros(6), ""))},
            "7 val",
        ),
    ],
)
def test_entries_that_contradict_themselves_are_refused(mosaicity, change, message):
    with pytest.raises(ValueError, match=message):
        Entry(**{**vars(mosaicity), **change})
