"""Kernel files: lossless, self-checking, and never half there."""

import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

from weakbeam.diffraction.kernel import Kernel
from weakbeam.errors import InputError, RunError
from weakbeam.io import kernel_file
from weakbeam.io.kernel_file import read_kernel, write_kernel


@pytest.fixture
def kernel():
    rng = np.random.default_rng(0)
    edges = np.linspace(-1, 1, 7), np.linspace(-2e-3, 3e-3, 6), np.linspace(0, 0.1, 5)
    return Kernel(
        edges,
        rng.random((6, 5, 4), np.float32),
        rays=12345,
        outside=0.125,
        throughput=0.1 + 0.2,
        conditions={"beam.energy_keV": 17.0, "reflection.hkl": [-1, 1, -1], "objective.stop": []},
        tracing={"rays": 12345, "seed": 0, "exact": False},
    )


def test_round_trip(kernel, tmp_path):
    path = tmp_path / "new folder" / "kernel.h5"
    write_kernel(path, kernel, configuration="[beam]\n")
    again = read_kernel(path)
    np.testing.assert_array_equal(again.table, kernel.table)
    assert again.table.dtype == np.float32
    for ours, theirs in zip(kernel.edges, again.edges, strict=True):
        np.testing.assert_array_equal(theirs, ours)
    for name in ("rays", "outside", "throughput", "conditions", "tracing"):
        assert getattr(again, name) == getattr(kernel, name)
    assert [entry.name for entry in path.parent.iterdir()] == ["kernel.h5"]


def test_every_group_plots_by_itself(kernel, tmp_path):
    write_kernel(tmp_path / "kernel.h5", kernel)
    with h5py.File(tmp_path / "kernel.h5") as file:
        entry = file[file.attrs["default"]]
        assert file.attrs["NX_class"] == "NXroot"
        assert entry.attrs["NX_class"] == "NXentry"
        assert entry.attrs["default"] == "acceptance"
        groups = [g for g in entry.values() if g.attrs.get("NX_class") == "NXdata"]
        assert len(groups) == 4
        for group in groups:
            signal_ = group[group.attrs["signal"]]
            axes = group.attrs["axes"]
            assert signal_.shape == tuple(len(group[axis]) for axis in axes)
        np.testing.assert_allclose(entry["rock_roll/density"][()], kernel.projection(0, 1))
        assert entry["provenance/program"].asstr()[()] == "weakbeam"


def test_existing_files_are_kept(kernel, tmp_path):
    path = tmp_path / "kernel.h5"
    path.write_text("precious")
    with pytest.raises(InputError, match="exists"):
        write_kernel(path, kernel)
    assert path.read_text() == "precious"
    with pytest.raises(InputError, match="is not a kernel"):
        write_kernel(path, kernel, overwrite=True)
    assert path.read_text() == "precious"
    path.write_text("")
    for _ in range(2):
        write_kernel(path, kernel, overwrite=True)
        assert read_kernel(path).rays == kernel.rays
    with pytest.raises(InputError, match="is a folder"):
        write_kernel(tmp_path, kernel)
    with pytest.raises(InputError, match="is no folder"):
        write_kernel(path / "below.h5", kernel)


def test_damaged_files_are_refused(kernel, tmp_path):
    path = tmp_path / "kernel.h5"
    write_kernel(path, kernel)
    content = path.read_bytes()
    damaged = tmp_path / "damaged.h5"
    for length in (0, 100, len(content) // 2, len(content) - 1):
        damaged.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"^acceptance\.file = .*damaged[^\n]*$"):
            read_kernel(damaged)
    for name in ("throughput", "acceptance/density", "acceptance/roll_edges"):
        damaged.write_bytes(content)
        with h5py.File(damaged, "r+") as file:
            file["kernel"][name][...] *= 1.0000001 if name.endswith("edges") else 2.0
        with pytest.raises(InputError, match="do not match the hash"):
            read_kernel(damaged)
    damaged.write_bytes(content)
    with h5py.File(damaged, "r+") as file:
        del file["kernel/conditions"]
    with pytest.raises(InputError, match="damaged"):
        read_kernel(damaged)
    with h5py.File(damaged, "w") as file:
        file["something"] = 1
    with pytest.raises(InputError, match="is no kernel"):
        read_kernel(damaged)
    with pytest.raises(InputError, match="no such file"):
        read_kernel(tmp_path / "absent.h5", key="--kernel")


def test_an_error_while_writing_leaves_nothing(kernel, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kernel_file, "_write_table", full_disk)
    with pytest.raises(RunError, match="No space left"):
        write_kernel(tmp_path / "kernel.h5", kernel)
    assert list(tmp_path.iterdir()) == []


def test_a_kill_while_writing_leaves_the_previous_kernel(tmp_path):
    path = tmp_path / "kernel.h5"
    program = f"""
import numpy as np
from weakbeam.diffraction.kernel import Kernel
from weakbeam.io.kernel_file import write_kernel
edge = np.linspace(0, 1, 61)
for rays in range(1, 100000):
    table = np.random.default_rng(rays).random((60, 60, 60), np.float32)
    write_kernel({str(path)!r}, Kernel((edge, edge, edge), table, rays, 0.0, 1.0), overwrite=True)
"""
    writer = subprocess.Popen([sys.executable, "-c", program])
    try:
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.217)
    finally:
        writer.kill()
        writer.wait()
    assert read_kernel(path).rays >= 1
