"""A mistake in the input: status 2, one line that names it, nothing made, at once."""

from __future__ import annotations

import math
import time
import tracemalloc

import pytest

from weakbeam import simulate
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.run.record import record

CUBE = "{ a = 4.0, b = 4.0, c = 4.0, alpha = 90, beta = 90, gamma = 90 }"
BRICK = "{ a = 4.0, b = 5.0, c = 6.0, alpha = 90, beta = 90, gamma = 90 }"

# Settings, and what the line must name: the key and a part of what is wrong or allowed.
MISTAKES = {
    "misspelt key": (["beam.energy_kev=17"], "beam.energy_kev", "beam.energy_keV"),
    "misspelt table": (["beem.energy_keV=17"], "beem", "did you mean"),
    "unknown key": (["foo=1"], "foo", "unknown key"),
    "no setting": (["beam.energy_keV"], "--set", "key=value"),
    "text for a number": (["beam.energy_keV=warm"], "beam.energy_keV", "number from 1 to 1000"),
    "truth for a number": (["beam.energy_keV=true"], "beam.energy_keV", "number from"),
    "number for a table": (["beam=3"], "beam", "table"),
    "nan": (["beam.energy_keV=nan"], "beam.energy_keV", "number from"),
    "inf": (["beam.energy_keV=inf"], "beam.energy_keV", "number from"),
    "nan in a list": (["defects[0].line=[nan, 0, 0]"], "defects[0].line", "three numbers"),
    "inf in a position": (["defects[0].position_um=[0, inf, 0]"], "defects[0].position_um", "1e6"),
    "negative size": (["beam.height_fwhm_um=-1"], "beam.height_fwhm_um", "from 0.001"),
    "negative pixel": (["camera.pixel_nm=-40"], "camera.pixel_nm", "from 0.1"),
    "zero hkl": (["reflection.hkl=[0, 0, 0]"], "reflection.hkl", "not all 0"),
    "fractional hkl": (["reflection.hkl=[1.5, 1, 1]"], "reflection.hkl", "integers"),
    "two indices": (["reflection.hkl=[1, 1]"], "reflection.hkl", "three integers"),
    "extinct": (["reflection.hkl=[1, 0, 0]"], "reflection.hkl", "extinct"),
    "unreachable": (["reflection.hkl=[9, 9, 9]"], "reflection.hkl", "it needs more than"),
    "backwards": (["beam.energy_keV=3"], "reflection.hkl", "less than 90 deg"),
    "b = 0": (["defects[0].burgers=[0, 0, 0]"], "defects[0].burgers", "not all 0"),
    "b leaves the plane": (["defects[0].burgers=[1, 1, 0]"], "defects[0].burgers", "hu + kv + lw"),
    "line leaves the plane": (["defects[0].line=[1, 0, 0]"], "defects[0].line", "leaves the plane"),
    "no such defect": (["defects[7].line=[1, 0, 0]"], "defects[7]", "no such entry"),
    "x along Q": (["crystal.x_axis=[1, -1, 1]"], "crystal.x_axis", "parallel"),
    "unknown material": (["crystal.material=Unobtainium"], "crystal.material", "unknown"),
    "cell against its space group": (
        [f"crystal.cell={BRICK}", "crystal.space_group=F m -3 m", "crystal.poisson_ratio=0.3"],
        "crystal.space_group",
        "contradicts",
    ),
    "cell without space group": ([f"crystal.cell={CUBE}"], "crystal.space_group", "missing"),
    "Poisson ratio": (["crystal.poisson_ratio=0.5"], "crystal.poisson_ratio", "less than 0.5"),
    "no steps": (
        ["scan.phi.half_range_mrad=1", "scan.phi.steps=0"],
        "scan.phi.steps",
        "from 1 to",
    ),
    "a billion steps": (
        ["scan.phi.half_range_mrad=1", "scan.phi.steps=1000000000"],
        "scan.phi.steps",
        "to 1000000",
    ),
    "steps without a range": (["scan.phi.steps=5"], "scan.phi.half_range_mrad", "missing"),
    "empty list": (["scan.phi.values_mrad=[]"], "scan.phi.values_mrad", "at least one"),
    "unknown motor": (["scan.omega.value_mrad=1"], "scan.omega", "phi, chi, two_theta, strain, z"),
    "unknown compression": (["output.compression=zip"], "output.compression", '"gzip"'),
    "unknown camera": (["camera.model=pco"], "camera.model", '"pco_edge"'),
    "negative seed": (["camera.seed=-1"], "camera.seed", "from 0"),
}

# What would not fit: refused from an estimate, before anything of its size is made.
TOO_LARGE = {
    "pixels": (["camera.pixels=[200000, 200000]"], "camera.pixels", "to 100000"),
    "image": (["camera.pixels=[100000, 100000]"], "camera.pixels", "of memory"),
    "frames": (
        ["camera.pixels=[2048, 2048]", "scan.phi.half_range_mrad=1", "scan.phi.steps=1000000"],
        "scan",
        "left",
    ),
    "tiny frames": (
        [
            "camera.pixels=[2, 2]",
            "scan.phi.half_range_mrad=1",
            "scan.phi.steps=1000000",
            "scan.chi.half_range_mrad=1",
            "scan.chi.steps=1000000",
        ],
        "scan",
        "of memory",
    ),
    "entries": (
        [
            "camera.pixels=[2, 2]",
            "scan.phi.half_range_mrad=1",
            "scan.phi.steps=2",
            "scan.z.half_range_um=1",
            "scan.z.steps=1000000",
        ],
        "scan",
        "scans of two motors",
    ),
    "high beam": (["beam.height_fwhm_um=1e5"], "beam.height_fwhm_um", "of memory"),
    "high beam, perfect crystal": (
        ["beam.height_fwhm_um=1e5", "defects=[]"],
        "beam.height_fwhm_um",
        "of memory",
    ),
    "points of a ray": (
        ["camera.pixels=[2, 2]", "camera.oversampling=64", "camera.depth_samples=10000"],
        "camera.depth_samples",
        "of memory",
    ),
}


def call(weakbeam, folder, settings, *flags):
    flags = [*flags, *(part for setting in settings for part in ("--set", setting))]
    return weakbeam("forward", "-o", folder, *flags)


def assert_refused(result, key, allowed, folder):
    assert result.status == 2
    assert result.out == ""
    (line,) = result.err.splitlines()
    assert line.startswith(f"weakbeam: {key}")
    assert allowed in line
    assert not folder.exists()


@pytest.mark.parametrize(("settings", "key", "allowed"), MISTAKES.values(), ids=list(MISTAKES))
def test_mistake(weakbeam, tmp_path, settings, key, allowed):
    folder = tmp_path / "run"
    assert_refused(call(weakbeam, folder, settings), key, allowed, folder)


@pytest.mark.parametrize(("settings", "key", "allowed"), TOO_LARGE.values(), ids=list(TOO_LARGE))
@pytest.mark.parametrize("flags", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_too_large_is_refused_from_an_estimate(
    weakbeam, tmp_path, monkeypatch, settings, key, allowed, flags
):
    # The same on every machine.
    monkeypatch.setattr("weakbeam.run.estimate.physical_memory", lambda: 16e9)
    monkeypatch.setattr("shutil.disk_usage", lambda place: type("Usage", (), {"free": int(1e12)}))
    if key == "scan" and allowed == "of memory":
        monkeypatch.setattr("shutil.disk_usage", lambda place: type("", (), {"free": math.inf}))
    start = time.monotonic()
    tracemalloc.start()
    try:
        result = call(weakbeam, tmp_path / "run", settings, *flags)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_refused(result, key, allowed, tmp_path / "run")
    assert peak < 200e6
    assert time.monotonic() - start < 10.0


def test_frames_that_do_not_fit_in_memory_go_through_forward():
    settings = ["scan.phi.half_range_mrad=1", "scan.phi.steps=1000000"]
    with pytest.raises(InputError, match="weakbeam forward"):
        simulate(Experiment().with_settings(settings))


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"[beam", "line 1"),
        (b"[beam]\nenergy_keV = 17\nenergy_keV = 18\n", "line 3"),
        (b"\xff\xfe\x00", "config.toml"),
        (b"energy_keV = 17\n", "energy_keV"),
        (b"[beam]\nenergy_keV = '''1\n7'''\n", "beam.energy_keV"),
    ],
)
def test_unreadable_text(weakbeam, tmp_path, content, named):
    config = tmp_path / "config.toml"
    config.write_bytes(content)
    result = weakbeam("forward", "-c", config, "-o", tmp_path / "run")
    assert result.status == 2
    (line,) = result.err.splitlines()
    assert named in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["missing.toml", "."])
def test_unreadable_file(weakbeam, tmp_path, name):
    result = weakbeam("forward", "-c", tmp_path / name, "-o", tmp_path / "run")
    assert result.status == 2
    assert len(result.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["forward", "--bogus"],
        ["forward", "extra"],
        ["forward", "--workers", "0"],
        ["forward", "--seed", "-3"],
        ["forward", "--resume", "--overwrite"],
        ["nonsense"],
        ["show"],
        ["show", "missing.h5"],
        ["show", "missing.h5", "--format", "gif"],
        ["init", "--template", "nonsense", "--dest", "nowhere"],
    ],
    ids=" ".join,
)
def test_mistaken_arguments(weakbeam, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    result = weakbeam(*arguments)
    assert result.status == 2
    assert len(result.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_output_that_cannot_be(weakbeam, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for folder in (file, file / "below"):
        result = weakbeam("forward", "-o", folder, "--set", "camera.pixels=[4, 6]")
        assert result.status == 2
        (line,) = result.err.splitlines()
        assert "--output" in line
    assert file.read_text() == "mine"


def test_failing_disk_is_no_mistake_of_the_input(weakbeam, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)
    result = weakbeam("forward", "-o", tmp_path / "run", "--set", "camera.pixels=[4, 6]")
    assert result.status == 1
    (line,) = result.err.splitlines()
    assert "No space left on device" in line


def test_full_disk_for_the_figures(weakbeam, tmp_path, monkeypatch):
    small = Experiment().with_settings(["camera.pixels=[4, 6]", "output.figures=false"])
    file = record(small, tmp_path / "run").file

    def fail(path, target):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("pathlib.Path.replace", fail)
    again = ("forward", "-o", tmp_path / "again", "--set", "camera.pixels=[4, 6]")
    for command in [("show", file), again]:
        result = weakbeam(*command)
        assert result.status == 1
        (line,) = result.err.splitlines()
        assert "No space left on device" in line
