"""Estimates before a run, beside what the run then took."""

from __future__ import annotations

import network_texts as texts
import pytest

from weakbeam.assemble import assemble
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment, RandomDislocations, Wall
from weakbeam.experiment.templates import TEMPLATES
from weakbeam.run.estimate import (
    FieldParts,
    check_memory,
    check_resources,
    estimate,
    lit_share_of,
)
from weakbeam.run.record import record

EDGE = {"plane": [1, 1, 1], "burgers": [1, 0, -1], "angle_deg": 90}


def quick(experiment):
    # Samples change what is computed, but not how much is written.
    small = ["camera.pixels=[60, 180]", "camera.oversampling=point", "output.figures=false"]
    return experiment.with_settings(small)


CASES = [(name, extra) for name in TEMPLATES for extra in ([], ["camera.model=pco_edge"])]
# Without compression the size does not depend on what is in the frames.
CASES += [(name, ["output.compression=none"]) for name in ("default", "rocking", "mosaicity")]


@pytest.mark.parametrize(("name", "extra"), CASES)
def test_size_of_the_file_within_a_factor_of_two(tmp_path, name, extra):
    experiment = quick(TEMPLATES[name].experiment).with_settings(extra)
    if experiment.scan.frames > 100:
        experiment = experiment.with_settings(["scan.phi.steps=21", "scan.chi.steps=9"])
    expected = estimate(experiment, lit_share=lit_share_of(assemble(experiment)))
    result = record(experiment, tmp_path / "run")
    assert expected.frames == result.frames
    assert 0.5 < expected.disk / result.file.stat().st_size < 2.0


def test_everything_grows_with_what_it_should():
    base = TEMPLATES["rocking"].experiment
    more = {
        "camera.pixels=[680, 510]": ("rays", "memory", "disk", "seconds"),
        "camera.oversampling=3": ("rays", "memory", "seconds"),
        "scan.phi.steps=6100": ("frames", "memory", "disk", "seconds"),
        "output.perfect_crystal=true": ("frames", "seconds"),
        "output.compression=none": ("disk",),
        "beam.height_fwhm_um=50": ("rays", "memory", "seconds"),
        "scan.z.values_um=[0, 1, 2]": ("frames", "disk", "seconds"),
    }
    before = estimate(base, workers=1)
    for setting, grown in more.items():
        after = estimate(base.with_settings([setting]), workers=1)
        for name in grown:
            assert getattr(after, name) > getattr(before, name), (setting, name)
    assert estimate(base, workers=8).seconds < before.seconds


def test_share_of_lit_frames():
    standing = assemble(TEMPLATES["default"].experiment)
    assert lit_share_of(standing) == 1.0
    rocking = assemble(TEMPLATES["rocking"].experiment)
    # The condenser lets pass 140 µrad to either side, of 600 µrad.
    assert lit_share_of(rocking) == pytest.approx(0.2 / 0.6, abs=0.08)


def test_a_run_that_fits_is_let_through(tmp_path):
    check_resources(TEMPLATES["mosaicity"].experiment, tmp_path / "deep" / "below")
    assert list(tmp_path.iterdir()) == []


def test_small_disk_and_small_memory(tmp_path, monkeypatch):
    experiment = TEMPLATES["mosaicity"].experiment
    with monkeypatch.context() as patched:
        patched.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": 10**6}))
        with pytest.raises(InputError, match=r"(MB|kB) left"):
            check_resources(experiment, tmp_path)
    monkeypatch.setattr("weakbeam.run.estimate.physical_memory", lambda: 5e8)
    with pytest.raises(InputError, match="streams them to a file"):
        check_memory(experiment)
    with pytest.raises(InputError, match="of memory"):
        check_resources(experiment, tmp_path)


def test_too_many_scans_for_a_file():
    layers = Experiment().with_settings(
        [
            "camera.pixels=[1, 1]",
            "scan.z.half_range_um=1",
            "scan.z.steps=20000",
            "scan.phi.values_mrad=[0, 1]",
        ]
    )
    with pytest.raises(InputError, match="20000 scans of two motors"):
        check_memory(layers)
    # One motor alone is one scan, however long.
    check_memory(layers.with_settings(["scan.phi.value_mrad=0"]))


def test_many_lines_take_longer_and_a_wall_does_not():
    one = Experiment().with_settings(["camera.pixels=[170, 510]"])

    def of(*tables):
        return estimate(one.model_copy(update={"defects": tables}), workers=1)

    edge = {"plane": (1, 1, 1), "burgers": (1, 0, -1), "line": (1.0, -2.0, 1.0)}
    few, many = (Wall(**edge, spacing_um=0.5, count=n) for n in (5, 7501))
    assert of(few) == of(many)
    times = [of(RandomDislocations(count=n)).seconds for n in (1, 10, 100, 1000, 10_000)]
    assert times == sorted(times)
    # Ten times the lines take less than ten times as long.
    assert times[3] < times[4] < 6.0 * times[3]
    # 2.12 GB were measured.
    assert 1.9e9 < of(RandomDislocations(count=10_000)).memory < 2.4e9
    known = estimate(one, workers=1, parts=FieldParts(lines=10_000))
    assert known.seconds > 0.9 * times[4]


@pytest.mark.parametrize(
    ("pixels", "lines", "measured"),
    [
        ([20, 60], 20_000, 46.0),
        ([42, 128], 20_000, 41.0),
        ([20, 60], 100_000, 256.0),
        ([170, 510], 100, 13.0),
        ([170, 510], 1000, 68.0),
        ([170, 510], 10_000, 178.0),
    ],
)
def test_many_lines_take_about_what_was_measured(pixels, lines, measured):
    """On one core; in a small field nearly all lines are near every point."""
    camera = f"camera.pixels={pixels}"
    crowd = Experiment().with_settings([camera, f"defects=[{{kind='random', count={lines}}}]"])
    assert 0.5 * measured < estimate(crowd, workers=1).seconds < 2.0 * measured


def test_a_million_lines_in_a_small_field_take_minutes():
    keys = ["camera.pixels=[20, 60]", "defects=[{kind='random', count=1000000}]"]
    # Ten times as long as a tenth of them, which was measured, on two cores.
    expected = 10.0 * 256.0 / 2.0
    told = estimate(Experiment().with_settings(keys), workers=2).seconds
    assert 0.5 * expected < told < 2.0 * expected


def test_what_the_field_is_made_of(tmp_path):
    (tmp_path / "network.data").write_text(texts.paradis())
    network = {"kind": "network", "file": f"{tmp_path}/network.data", "burgers_length_nm": 0.28634}
    loop = {"kind": "loop", "plane": [-1, 1, -1], "burgers": [1, 0, -1], "radius_um": 1.0}
    experiment = Experiment(
        crystal={"material": "Al", "elasticity": "anisotropic"},
        defects=[network, loop, {"kind": "wall", **EDGE, "spacing_um": 1.0}],
    )
    parts = FieldParts.of(assemble(experiment).defects)
    assert (parts.lines, parts.walls, parts.segments) == (0, 1, 11 + 24)
    assert parts.repeated > 20 * 11
    assert parts.is_anisotropic
    only = experiment.model_copy(update={"defects": experiment.defects[:1]})
    assert FieldParts.of(assemble(only).defects).is_anisotropic
    guessed = FieldParts.guessed(experiment)
    assert (guessed.lines, guessed.walls, guessed.is_anisotropic) == (0, 1, True)
    assert guessed.segments > 24


def test_anisotropic_walls_and_segments_take_longer_and_images_of_boxes_hardly():
    def seconds(**parts):
        return estimate(TEMPLATES["weak-beam"].experiment, 1, parts=FieldParts(**parts)).seconds

    assert seconds(walls=9, is_anisotropic=True) > 2.5 * seconds(walls=9)
    assert seconds(segments=30, is_anisotropic=True) > 10.0 * seconds(segments=30)
    assert seconds(lines=30, is_anisotropic=True) == seconds(lines=30)
    one, endless = seconds(segments=5000), seconds(segments=5000, repeated=130_000)
    assert one < endless < 2.0 * one
