"""The planning sheet says what can be worked out by hand."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest

import weakbeam as wb
from weakbeam.run.planning import Section

SMALL = {"pixels": (20, 30), "model": "pco_edge", "exposure_s": 0.5}
SCAN = {
    "phi": wb.AngleAxis(half_range_mrad=0.4, steps=81),
    "chi": wb.AngleAxis(half_range_mrad=2.0, steps=41),
}


@pytest.fixture(scope="module")
def sheet():
    experiment = wb.Experiment().replace(camera=SMALL, scan=SCAN)
    return wb.plan(experiment, wb.Timing(readout_s=0.02, row_s=2.0), workers=1)


def rows(sheet):
    return {name: value for section in sheet.sections for name, value in section.rows if name}


def test_frames_time_speed_and_disk(sheet):
    said = rows(sheet)
    frames = 41 * 81
    seconds = frames * (0.5 + 0.02) + 41 * 2.0
    assert said["frames"] == str(frames)
    assert said["time"].startswith(f"{round(seconds / 60)} min:")
    assert said["disk"].startswith(f"{frames * 20 * 30 * 2 / 1e6:.3g} MB")
    speed = math.degrees(1e-5) / 0.52
    assert float(re.search(r"([\d.e-]+) °/s", said["φ"])[1]) == pytest.approx(speed, rel=0.02)
    assert "°/s" not in said["χ"]


def test_angle_visibility_and_field(sheet):
    said = rows(sheet)
    bragg = math.degrees(math.asin(12.39841984 / 17.0 / (2 * 4.0495 / math.sqrt(3))))
    assert float(re.search(r"θ ([\d.]+)°", said["(-1 1 -1)"])[1]) == pytest.approx(bragg, abs=2e-3)
    assert said["(-1 1 -1), dislocation 0"].startswith("g·b 0,")
    assert said["field of view"] == "0.8 × 1.2 µm in that plane"
    # 0.441 λ / FWHM and λ / 2πσ² of the angles that pass, 0.731 mrad FWHM.
    wavelength, fwhm = 12.39841984e-4 / 17.0, 0.731e-3
    assert said["resolution"] == f"{441 * wavelength / fwhm:.0f} nm FWHM by diffraction"
    depth = wavelength / (2.0 * math.pi * (fwhm / 2.35482) ** 2)
    assert float(said["depth of field"].split()[0]) == pytest.approx(depth, rel=0.01)


def test_images_are_those_of_the_scan_and_their_counts(sheet):
    said = rows(sheet)
    assert 2 <= len(sheet.images) <= 4
    medians = []
    for name, image in sheet.images.items():
        assert (
            said[name]
            == f"median {np.median(image.values):.4g}, brightest {image.values.max():.4g}"
        )
        medians.append(float(np.median(image.values)))
    assert medians == sorted(medians, reverse=True)
    grid = np.linspace(-0.4, 0.4, 81)
    assert all(np.abs(grid - setting).min() < 1e-9 for setting in sheet.settings)
    assert said["perfect crystal at its peak"].startswith("500 counts")


def test_what_saturates_is_told():
    camera = SMALL | {"exposure_s": 100.0}
    sheet = wb.plan(wb.Experiment().replace(camera=camera), workers=1)
    ((_, text),) = [row for s in sheet.sections for row in s.rows if "saturated" in row[1]]
    most = float(re.search(r"at most ([\d.]+) s", text)[1])
    again = wb.plan(wb.Experiment().replace(camera=SMALL | {"exposure_s": 0.98 * most}), workers=1)
    assert "saturated" not in str(again)


def test_several_reflections_add_up():
    text = """
preset = "id06-oblique"
reflections = [{hkl = [-1, -1, 3], geometry = "oblique"}, {hkl = [1, -1, 3], geometry = "oblique"}]
[crystal]
mount = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
[camera]
pixels = [10, 12]
[scan.phi]
half_range_mrad = 0.1
steps = 11
"""
    sheet = wb.plan(wb.Experiment.from_toml_text(text), workers=1)
    said = rows(sheet)
    assert said["frames"] == "22 in 2 scans"
    assert said["time"].startswith(f"{round((22 * 1.01 + 2 + 600) / 60)} min")
    assert said["(-1 -1 3), dislocation 0"] != said["(1 -1 3), dislocation 0"]


def test_pages_in_every_format(sheet, tmp_path):
    for suffix, start in ((".pdf", b"%PDF"), (".png", b"\x89PNG"), (".html", b"<!doctype html>")):
        path = tmp_path / f"plan{suffix}"
        sheet.save(path)
        assert path.read_bytes().startswith(start)
        with pytest.raises(wb.InputError):
            sheet.save(path)
        sheet.save(path, overwrite=True)
    foreign = tmp_path / "mine.html"
    foreign.write_text("<!doctype html><p>mine")
    with pytest.raises(wb.InputError, match=r"mine\.html"):
        sheet.save(foreign, overwrite=True)
    assert "mine" in foreign.read_text()
    with pytest.raises(wb.InputError, match="must end in"):
        sheet.save(tmp_path / "plan.doc")
    (figure,) = [sheet.figure()]
    width, height = figure.get_size_inches()
    assert height / width == pytest.approx(297 / 210, rel=1e-3)


def test_nothing_on_the_page_overlaps(sheet):
    figure = sheet.figure()
    renderer = figure.canvas.get_renderer()
    assert not any("…" in text.get_text() for text in figure.texts), "something is cut"
    boxes = [text.get_window_extent(renderer) for text in figure.texts if text.get_text()]
    page = figure.bbox
    for number, box in enumerate(boxes):
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        for other in boxes[number + 1 :]:
            lower = min(box.y1, other.y1) - max(box.y0, other.y0)
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            assert lower < 0.4 * box.height or across <= 0


def test_long_values_go_over_several_lines_and_are_not_cut(sheet):
    loses = "at the peak the incident beam loses 1.1 % per µm to the diffracted one, "
    text = loses + "10 % over the 9.88 µm of the field, and 1.5 % to absorption"
    figure = replace(sheet, sections=(Section("Validity", (("theory", text),)),)).figure()
    shown = " ".join(found.get_text() for found in figure.texts if found.get_text())
    assert "…" not in shown
    assert text in shown


@pytest.mark.parametrize("name", ["readout_s", "row_s", "reflection_s"])
def test_times_are_none_below_zero(name):
    with pytest.raises(wb.InputError, match=name):
        wb.Timing(**{name: -1.0})
