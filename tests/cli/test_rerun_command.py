"""``weakbeam rerun`` says what is the same and what is not."""

from __future__ import annotations

import h5py
import pytest

from weakbeam.experiment import Experiment
from weakbeam.run.record import record


@pytest.fixture
def file(tmp_path):
    keys = ["camera.pixels=[6, 8]", "scan.phi.values_mrad=[0, 0.1]", "output.figures=false"]
    return record(Experiment().with_settings(keys), tmp_path / "run").file


def test_a_run_that_comes_out_the_same(weakbeam, file, tmp_path):
    result = weakbeam("rerun", file, "-o", tmp_path / "again")
    assert result.status == 0
    assert result.out == f"{file}: 2 frames, the same bit for bit\n"
    assert (tmp_path / "again" / "weakbeam.h5").is_file()


def test_the_folder_of_a_run_is_its_file(weakbeam, file):
    result = weakbeam("rerun", file.parent)
    assert result.out == f"{file}: 2 frames, the same bit for bit\n"
    assert weakbeam("rerun", file.parent, "--requirements").out.startswith("# Python 3.")
    result = weakbeam("rerun", file.parent.parent)
    assert result.status == 2
    assert "is a folder; give a file" in result.err


def test_a_run_that_does_not(weakbeam, file):
    with h5py.File(file, "r+") as opened:
        opened["1.1/instrument/pco_ff/image"][1] += 1.0
        opened["1.1/simulation/environment/scipy"][()] = "1.0.0"
    result = weakbeam("rerun", file, "--workers", 1)
    assert result.status == 1
    assert result.out.startswith("scipy: 1.0.0 then, ")
    assert result.err.startswith(f"weakbeam: {file}: 1 of 2 frames differ, by 1 at most")
    quiet = weakbeam("rerun", file, "-q")
    assert (quiet.status, quiet.out, quiet.err) == (1, "", result.err)


def test_versions_for_pip(weakbeam, file):
    result = weakbeam("rerun", file, "--requirements")
    first, *packages = result.out.splitlines()
    assert first.startswith("# Python 3.")
    assert packages[0].startswith("weakbeam==")
    assert all(line.count("==") == 1 for line in packages)


def test_what_is_no_run(weakbeam, tmp_path):
    (tmp_path / "a.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    for name in ("a.h5", "b.h5"):
        result = weakbeam("rerun", tmp_path / name)
        assert result.status == 2
        (line,) = result.err.splitlines()
        assert name in line
