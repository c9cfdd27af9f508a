"""What users do with ``weakbeam forward`` and ``weakbeam show``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest

from weakbeam.experiment import Experiment
from weakbeam.experiment.templates import TEMPLATES
from weakbeam.io.reading import frames_done, read_entry, read_frames
from weakbeam.run.record import record

SMALL = ["camera.pixels=[6, 10]", "camera.pixel_nm=300", "camera.oversampling=point"]
SCAN = [*SMALL, "scan.phi.half_range_mrad=0.3", "scan.phi.steps=5"]
NO_FIGURES = "output.figures=false"


def given(settings):
    return [part for setting in settings for part in ("--set", setting)]


def test_default_run(weakbeam, tmp_path):
    result = weakbeam("forward", "-o", tmp_path / "run", *given(SMALL))
    assert result.status == 0
    (note,) = result.err.splitlines()
    assert note.startswith("note: at the peak the incident beam loses")
    assert "one image" in result.out
    names = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*.*")}
    figures = {f"figures/{name}.png" for name in ("image", "rocking", "acceptance")}
    assert names == {"weakbeam.h5", "experiment.toml"} | figures


def test_quiet_says_nothing_and_verbose_lists_the_figures(weakbeam, tmp_path):
    quiet = weakbeam("forward", "-q", "-o", tmp_path / "quiet", *given(SMALL))
    assert (quiet.status, quiet.out, quiet.err) == (0, "", "")
    verbose = weakbeam("forward", "-v", "-o", tmp_path / "verbose", *given(SMALL))
    assert "acceptance.png" in verbose.out


def test_running_the_written_experiment_gives_the_same_images(weakbeam, tmp_path):
    settings = [*SCAN, NO_FIGURES, "camera.model=pco_edge"]
    settings += ["defects[0].position_um=[0.1, 0.2, 0.3]"]
    assert weakbeam("forward", "-o", tmp_path / "a", *given(settings), "--seed", 5).status == 0
    written = tmp_path / "a" / "experiment.toml"
    assert tomllib.loads(written.read_text())["camera"]["seed"] == 5
    assert weakbeam("forward", "-c", written, "-o", tmp_path / "b", "--workers", 1).status == 0
    a, b = (read_frames(tmp_path / name / "weakbeam.h5") for name in "ab")
    np.testing.assert_array_equal(a, b)
    assert a.dtype == np.uint16


def test_seed_changes_the_noise(weakbeam, tmp_path):
    for seed in (1, 2):
        flags = given([*SMALL, "camera.model=pco_edge", NO_FIGURES])
        weakbeam("forward", "-q", "-o", tmp_path / str(seed), "--seed", seed, *flags)
    a, b = (read_frames(tmp_path / name / "weakbeam.h5") for name in "12")
    assert (a != b).mean() > 0.5


def test_number_of_workers_changes_nothing_in_the_file(weakbeam, tmp_path):
    for workers in (1, 2):
        folder = tmp_path / str(workers)
        settings = given([*SCAN, NO_FIGURES, "camera.model=pco_edge"])
        assert weakbeam("forward", "-q", "-o", folder, "--workers", workers, *settings).status == 0
    assert differences(tmp_path / "1" / "weakbeam.h5", tmp_path / "2" / "weakbeam.h5") == []


def differences(a, b):
    """Names of the data sets that differ, but for times."""
    with h5py.File(a) as left, h5py.File(b) as right:
        names = []

        def visit(name, found):
            times = {"start_time", "end_time", "date"}
            if isinstance(found, h5py.Dataset) and name.rpartition("/")[2] not in times:
                names.append(name)

        left.visititems(visit)
        return [name for name in names if not same(left[name][()], right[name][()])]


def same(a, b):
    is_float = getattr(a, "dtype", np.dtype(object)).kind == "f"
    return np.array_equal(a, b, equal_nan=is_float)


@pytest.mark.parametrize("name", list(TEMPLATES))
def test_dry_run_writes_nothing_and_prints_the_experiment(weakbeam, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    assert weakbeam("init", "--template", name).status == 0
    result = weakbeam("forward", "-c", f"{name}.toml", "--dry-run")
    assert result.status == 0
    assert Experiment.from_toml_text(result.out) == TEMPLATES[name].experiment
    for word in ("frames", "memory", "disk", "time"):
        assert f"# {word} " in result.out
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.toml"]


def test_runs_and_dry_runs_tell_of_a_lattice_that_the_symbol_does_not_have(weakbeam, tmp_path):
    file = Path(__file__).parents[1] / "data/aluminium_p1.cif"
    settings = [f"crystal.cif={file}", "crystal.poisson_ratio=0.334", *SMALL, NO_FIGURES]
    words = "of which P 1 says nothing: the lattice is cubic F"
    assert words in weakbeam("forward", "--dry-run", *given(settings)).out
    assert words in weakbeam("forward", "-o", tmp_path / "run", *given(settings)).err


def test_dry_run_tells_what_a_run_would_note(weakbeam):
    settings = ["crystal.mount=[[1, 0, 0], [0, 1, 0], [0, 0, 1]]", "beam.energy_keV=19.1"]
    table = "hkl = [-1, -1, 3], geometry = 'goniometer', omega_deg = 6.43"
    settings += [f"reflection={{ {table} }}"]
    result = weakbeam("forward", "--dry-run", *given(settings))
    assert result.status == 0
    assert "# reflection.omega_deg = 6.43 is taken as 6.43" in result.out
    assert result.out.count("extinction length") == 1


def test_existing_run_is_kept_unless_told(weakbeam, tmp_path):
    folder = tmp_path / "run"
    weakbeam("forward", "-o", folder, *given(SCAN))
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    result = weakbeam("forward", "-o", folder, *given(SCAN))
    assert result.status == 2
    assert len(result.err.splitlines()) == 1
    result = weakbeam("forward", "-o", folder, "--resume", *given(SCAN))
    assert result.status == 0
    assert "already complete" in result.out
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before
    assert (folder / "figures" / "maps.png").exists()
    again = given([*SMALL, NO_FIGURES])
    assert weakbeam("forward", "-o", folder, "--overwrite", *again).status == 0
    assert read_entry(folder / "weakbeam.h5").done.size == 1
    assert not (folder / "figures" / "maps.png").exists()


def test_resume_refuses_what_is_not_there_or_another_experiment(weakbeam, tmp_path):
    result = weakbeam("forward", "-o", tmp_path / "none", "--resume")
    assert result.status == 2
    assert not (tmp_path / "none").exists()
    weakbeam("forward", "-o", tmp_path / "run", *given([*SMALL, NO_FIGURES]))
    result = weakbeam("forward", "-o", tmp_path / "run", "--resume", *given([*SCAN, NO_FIGURES]))
    assert result.status == 2
    assert "another experiment" in result.err


def test_ones_own_experiment_file_is_not_overwritten(weakbeam, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "experiment.toml").write_text("# my notes\n[camera]\npixels = [6, 10]\n")
    result = weakbeam("forward", "-c", "experiment.toml", "-o", ".")
    assert result.status == 2
    assert "experiment.toml" in result.err
    assert "my notes" in (tmp_path / "experiment.toml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.toml"]


def test_measured_frames_are_not_overwritten(weakbeam, tmp_path):
    measured = tmp_path / "scan0001" / "pco_ff_0000.h5"
    measured.parent.mkdir()
    with h5py.File(measured, "w") as file:
        file["precious"] = 1
    before = measured.read_bytes()
    for flags in ([], ["--overwrite"]):
        settings = given([*SMALL, "output.layout=bliss"])
        assert weakbeam("forward", "-o", tmp_path, *flags, *settings).status == 2
    settings = given([*SMALL, NO_FIGURES])
    assert weakbeam("forward", "-o", tmp_path, "--overwrite", *settings).status == 0
    assert measured.read_bytes() == before


def test_overwriting_leaves_no_old_sources(weakbeam, tmp_path):
    twins = [*SMALL, "output.layout=bliss", "output.perfect_crystal=true", "output.field=true"]
    weakbeam("forward", "-o", tmp_path / "run", *given([*twins, NO_FIGURES]))
    assert (tmp_path / "run" / "scan0002").exists()
    assert (tmp_path / "run" / "weakbeam_truth.h5").exists()
    weakbeam("forward", "-o", tmp_path / "run", "--overwrite", *given(SMALL))
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "weakbeam.h5",
        "experiment.toml",
        "figures",
    }


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_show_draws_each_format(weakbeam, tmp_path, suffix):
    settings = [*SCAN, NO_FIGURES, "output.compression=none"]
    record(Experiment().with_settings(settings), tmp_path)
    result = weakbeam("show", tmp_path / "weakbeam.h5", "--format", suffix)
    assert (result.status, result.err) == (0, "")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    assert names == {f"{n}.{suffix}" for n in ("image", "rocking", "acceptance", "maps")}
    assert len(result.out.splitlines()) == 4


def test_show_refuses_in_one_line(weakbeam, tmp_path):
    weakbeam("forward", "-q", "-o", tmp_path / "run", *given([*SMALL, NO_FIGURES]))
    (tmp_path / "text.h5").write_text("no HDF5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = 1
    (tmp_path / "blocked").write_text("a file")
    file = tmp_path / "run" / "weakbeam.h5"
    for arguments in (
        [tmp_path / "text.h5"],
        [tmp_path / "other.h5"],
        [file, "--entry", 3],
        [file, "-o", tmp_path / "blocked"],
    ):
        result = weakbeam("show", *arguments)
        assert result.status == 2, arguments
        assert len(result.err.splitlines()) == 1


BATCH_BYTES = 2**23


def start(folder, *settings):
    """Start a run of its own process that takes a few seconds, and wait for its first frames."""
    settings = [
        "camera.pixels=[100, 300]",
        "scan.phi.half_range_mrad=0.3",
        "scan.phi.steps=31",
        "scan.chi.half_range_mrad=1",
        "scan.chi.steps=41",
        NO_FIGURES,
        *settings,
    ]
    code = (
        f"import weakbeam.imaging.engine as e; e.BATCH_BYTES = {BATCH_BYTES}; "
        "from weakbeam.cli.main import main; main()"
    )
    arguments = ["forward", "--workers", "1", "-o", str(folder), *given(settings)]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 60.0
    while process.poll() is None and time.monotonic() < end:
        try:
            if any(done.any() for done in frames_done(folder / "weakbeam.h5").values()):
                break
        except (OSError, ValueError, KeyError):
            pass
        time.sleep(0.02)
    return process, arguments


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("camera", ["ideal", "pco_edge"])
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL", "SIGTERM"])
def test_signal_leaves_a_file_that_resumes(weakbeam, tmp_path, monkeypatch, name, camera):
    # Sums are rounded in the order of the batches.
    monkeypatch.setattr("weakbeam.imaging.engine.BATCH_BYTES", BATCH_BYTES)
    process, arguments = start(tmp_path / "run", f"camera.model={camera}")
    kind = getattr(signal, name)
    process.send_signal(kind)
    _, err = process.communicate(timeout=60)
    file = tmp_path / "run" / "weakbeam.h5"
    done = frames_done(file)["1.1"]
    assert 0 < done.sum() < done.size
    if kind == signal.SIGINT:
        assert process.returncode == 130
        (line,) = err.splitlines()
        assert "--resume" in line
        assert read_entry(file).end_reason == "USER_ABORT"
    else:
        assert process.returncode == -kind
    assert weakbeam("show", file).status == 0
    assert weakbeam(*arguments, "--resume").status == 0
    arguments[arguments.index("-o") + 1] = str(tmp_path / "whole")
    assert weakbeam(*arguments).status == 0
    found = differences(file, tmp_path / "whole" / "weakbeam.h5")
    assert [name for name in found if not name.endswith("frame_order")] == []
