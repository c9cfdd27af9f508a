"""The small files of other people's making, where they are; each with what is right."""

from pathlib import Path

import numpy as np
import pytest

from weakbeam.analysis.remarks import left_out_of
from weakbeam.errors import InputError, RunError
from weakbeam.io.foreign import entry_range, read_scan
from weakbeam.measured.combine import combined_scan
from weakbeam.measured.maps import map_scan

SCANS = Path(__file__).parents[3] / "shared" / "inputs" / "scans"
pytestmark = pytest.mark.skipif(not SCANS.is_dir(), reason="the files are not here")

SPREAD, FWHM = 0.02902, 0.1177


def found(name, *choices, **options):
    monitor = options.pop("monitor", None)
    return map_scan(read_scan(SCANS / name, monitor=monitor), *choices, **options)


def center(mapped):
    return next(iter(mapped.maps.motors.values()))["com"]


def kinds(mapped):
    return {remark.kind for remark in mapped.remarks}


EXACT = {
    "t12_nonuniform.h5": (("none",), set()),
    "t02_unit_degrees.h5": (("none",), set()),
    "t02_unit_mrad.h5": (("none",), set()),
    "t26_wrap.h5": (("none",), {"full circle"}),
    "t19_zinger.h5": ((100.0, 0.05, True), {"zingers", "saturated"}),
    "t07_mu_center.h5": (("none",), {"motor"}),
}


@pytest.mark.parametrize("name", EXACT)
def test_maps_are_right_and_what_is_odd_is_said(name):
    choices, said = EXACT[name]
    mapped = found(name, *choices)
    assert np.nanstd(center(mapped)) == pytest.approx(
        SPREAD, rel=0.01 if "zinger" not in name else 0.05
    )
    assert kinds(mapped) == said
    assert mapped.maps.lit.all()
    (motor,) = mapped.maps.motors
    assert np.nanmedian(mapped.maps.motors[motor]["fwhm"]) == pytest.approx(FWHM, rel=0.01)


@pytest.mark.parametrize(
    ("name", "choices", "lost"),
    [
        ("t01_corrupt_half.h5", ("none",), range(40, 61)),
        ("t15_vds_unmapped.h5", ("none",), range(31, 61)),
        ("t21_beamloss.h5", (100.0,), range(25, 30)),
    ],
)
def test_frames_are_named_and_left_out(name, choices, lost):
    mapped = found(name, *choices)
    assert left_out_of(mapped.remarks).tolist() == list(lost)
    assert f"frames {lost[0]}-{lost[-1]}" in " ".join(mapped.warnings)
    if "beamloss" in name:
        assert np.nanstd(center(mapped)) == pytest.approx(SPREAD, rel=0.04)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("t05_saturated.h5", "saturated"),
        ("t22_int16_wrap.h5", "wrapped"),
        ("t23_window.h5", "window"),
        ("t24_coarse.h5", "steps"),
    ],
)
def test_what_spoils_a_map_is_said(name, kind):
    mapped = found(name)
    assert kind in kinds(mapped)
    assert "background" not in kinds(mapped)


def test_files_that_are_gone_are_named():
    with pytest.raises(RunError, match=r"gone.h5 .*frames 31-60"):
        found("t15_vds_half.h5")
    with pytest.raises(InputError, match=r"the file gone.h5 .* pco_ff is gone"):
        found("t16_extlink_gone.h5")


def test_a_monitor_removes_the_bias():
    assert np.mean(center(found("t18_current.h5"))) == pytest.approx(-0.0028, abs=2e-4)
    assert abs(np.mean(center(found("t18_current.h5", monitor="pico4")))) < 1e-4


def test_entries_over_the_monochromator():
    path = SCANS / "t11_multi_ccmth.h5"
    scans = [read_scan(path, name) for name in entry_range(path, "1.1-9.1")]
    mapped = map_scan(combined_scan(scans, "ccmth"))
    ccmth = mapped.maps.motors["ccmth"]["com"]
    assert np.abs(ccmth - 7.0).max() == pytest.approx(0.002, abs=4e-4)


def test_real_edf_images_and_a_real_grid_of_three_motors():
    scan = read_scan(str(SCANS / "*.edf"))
    assert (scan.frames, scan.shape, list(scan.positions)) == (2, (96, 96), ["obpitch"])
    assert scan.fixed["diffry"] == -23.176
    grid = found("darfix_example_raw_data_3d.h5")
    assert grid.grid.shape == (5, 8, 8)
    assert set(grid.maps.motors) == {"ccmth", "chi", "mu"}
