"""Damaged files are read, or refused in one line, whatever is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from field_files import write_damask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from weakbeam.batch.folder import SweepFolder
from weakbeam.batch.manifest import parse_sweep
from weakbeam.batch.shard import compute_shard
from weakbeam.diffraction.kernel import Kernel
from weakbeam.errors import InputError, RunError
from weakbeam.experiment import Experiment
from weakbeam.identify.library.writing import generate_images
from weakbeam.io import foreign, kernel_file, reading
from weakbeam.io.defects_file import read_defects
from weakbeam.io.field_file import is_field, open_field
from weakbeam.io.file_comparison import kind_of, read_provenance
from weakbeam.io.library_file import read_tables
from weakbeam.io.shard_reading import read_samples, sample_count
from weakbeam.run.field_slices import shown_field
from weakbeam.run.record import record

SMALL = Experiment().with_settings(
    [
        "camera.pixels=[6, 8]",
        "camera.pixel_nm=300",
        "camera.oversampling=point",
        "output.figures=false",
    ]
)

Damage = tuple[str, float, bytes]

damages = st.lists(
    st.tuples(
        st.sampled_from(["cut", "overwrite", "zero"]),
        st.floats(0.0, 1.0, exclude_max=True),
        st.binary(min_size=1, max_size=16),
    ),
    min_size=1,
    max_size=3,
)


def damaged(content: bytes, damage: list[Damage]) -> bytes:
    """A file that was cut or overwritten, but for the heaps in which HDF5 keeps texts.

    HDF5 does not come back from a heap with an entry of no length; nobody but HDF5 can help that.
    """
    bad = bytearray(content)
    for kind, place, data in damage:
        start = int(place * len(bad))
        if kind == "cut":
            del bad[start:]
        else:
            data = data if kind == "overwrite" else bytes(8 * len(data))
            bad[start : start + len(data)] = data[: len(bad) - start]
    for heap in re.finditer(b"GCOL", content):
        end = heap.start() + int.from_bytes(content[heap.start() + 8 : heap.start() + 16], "little")
        bad[heap.start() : end] = content[heap.start() : min(end, len(bad))]
    return bytes(bad)


def read_run(path: Path) -> None:
    for name in reading.entry_names(path):
        reading.read_entry(path, name)
    reading.frames_done(path)
    reading.read_configuration(path)
    reading.read_frames(path)
    assert isinstance(reading.is_own_file(path), bool)


READERS: dict[str, list[Callable[[Path], object]]] = {
    "run": [
        read_run,
        lambda path: reading.check_resumable(path, "0" * 64),
        lambda path: read_defects(str(path), "defects[0].file"),
        kind_of,
        read_provenance,
        foreign.scan_names,
        foreign.read_scan,
    ],
    "kernel": [kernel_file.read_kernel, kernel_file.read_configuration, kernel_file.is_kernel],
    "library": [lambda path: read_tables(path)[2][:]],
    "shard": [lambda path: list(read_samples(path)), sample_count],
    "result": [
        is_field,
        lambda path: shown_field(str(path)),
        lambda path: read_field(str(path), mask="B", grain=0),
    ],
    "arrays.h5": [
        is_field,
        lambda path: shown_field(str(path)),
        lambda path: read_field(str(path)),
    ],
    "arrays.npz": [
        is_field,
        lambda path: shown_field(str(path)),
        lambda path: read_field(str(path)),
    ],
}


def read_field(path: str, **options: object) -> None:
    file = open_field(path, "defects[0]", **options)
    file.read(file.grid.whole)


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[str, bytes]:
    """The bytes of a sound file of each kind."""
    folder = tmp_path_factory.mktemp("sound")
    scan = SMALL.with_settings(["scan.phi.half_range_mrad=0.3", "scan.phi.steps=4"])
    edges = np.linspace(-1e-3, 1e-3, 9)
    table = np.random.default_rng(1).random((8, 8, 8), np.float32)
    kernel = Kernel((edges, edges, edges), table, 1000, 0.0, 1.0)
    kernel_file.write_kernel(folder / "kernel.h5", kernel, configuration="[beam]")
    library = SMALL.with_settings(["identify.character_step_deg=90"])
    sweep = SweepFolder(folder / "sweep")
    axes = [{"key": "scan.chi.value_mrad", "values": [0.0, 0.1]}]
    plan = parse_sweep(
        {
            "experiment": {"camera": {"pixels": [6, 8], "pixel_nm": 400.0}},
            "axes": axes,
            "output": {"tasks_per_shard": 2},
        }
    )
    sweep.prepare(plan, resume=False)
    compute_shard(str(sweep.path), plan.digest, 0)
    (shard,) = sweep.shards.glob("*.h5")
    files = {
        "run": record(scan, folder / "run").file,
        "kernel": folder / "kernel.h5",
        "library": generate_images(library, folder / "library").file,
        "shard": shard,
    }
    write_damask(folder / "result.hdf5")
    beta = np.zeros((5, 4, 3, 3, 3))
    np.savez(folder / "arrays.npz", beta=beta, spacing_um=0.1)
    with h5py.File(folder / "arrays.h5", "w") as arrays:
        arrays["beta"], arrays["spacing_um"] = beta, 0.1
    files |= {
        "result": folder / "result.hdf5",
        **{name: folder / name for name in ("arrays.h5", "arrays.npz")},
    }
    return {kind: path.read_bytes() for kind, path in files.items()}


def check(kind: str, content: bytes, path: Path) -> None:
    path.write_bytes(content)
    refused: list[str] = []
    for read in READERS[kind]:
        try:
            read(path)
        except (InputError, RunError) as error:
            refused.append(str(error))
    assert all(len(told.splitlines()) == 1 for told in refused)
    # No reader has changed the file or left it open for writing.
    assert path.read_bytes() == content


@pytest.mark.parametrize("kind", READERS)
@settings(
    deadline=None, max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damage=damages)
def test_damaged_files_are_read_or_refused_in_one_line(sound, tmp_path, kind, damage):
    check(kind, damaged(sound[kind], damage), tmp_path / f"damaged{Path(kind).suffix or '.h5'}")


@pytest.mark.slow
@pytest.mark.parametrize("kind", READERS)
@settings(
    deadline=None, max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(damage=damages)
def test_very_many_damaged_files(sound, tmp_path, kind, damage):
    check(kind, damaged(sound[kind], damage), tmp_path / f"damaged{Path(kind).suffix or '.h5'}")


def test_a_kernel_is_right_or_refused(sound, tmp_path):
    path = tmp_path / "kernel.h5"
    path.write_bytes(sound["kernel"])
    right = kernel_file.read_kernel(path)
    refused = 0
    for place in range(0, len(sound["kernel"]), 2999):
        content = bytearray(sound["kernel"])
        content[place] ^= 0xFF
        path.write_bytes(damaged_heaps_restored(sound["kernel"], bytes(content)))
        try:
            kernel = kernel_file.read_kernel(path)
        except InputError:
            refused += 1
        else:
            # The hash inside vouches for every number.
            np.testing.assert_array_equal(kernel.table, right.table)
            np.testing.assert_array_equal(kernel.edges, right.edges)
    assert refused > 0


def damaged_heaps_restored(content: bytes, bad: bytes) -> bytes:
    """The bad file with the heaps of the sound one."""
    changed = [place for place in range(len(bad)) if bad[place] != content[place]]
    damage = [("overwrite", place / len(bad), bad[place : place + 1]) for place in changed]
    return damaged(content, damage)


def test_the_files_are_small(sound):
    assert max(map(len, sound.values())) < 200_000
