"""Images that claim more than there is, or than the memory holds, are refused before."""

from __future__ import annotations

import io
import struct
import tracemalloc

import h5py
import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.io.images import read_images


def npy(shape, dtype="<f8", body=b""):
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


def refused(text, *words):
    tracemalloc.start()
    with pytest.raises(InputError) as error:
        read_images(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
    assert error.value.key == "image"
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


def test_a_header_that_claims_what_is_not_there(tmp_path):
    for shape in [(10**6, 10**6), (2**62, 3), (10**4, 4096, 4096), (-1, 5), (0, 0)]:
        path = tmp_path / "bomb.npy"
        path.write_bytes(npy(shape, body=bytes(64)))
        refused(str(path), "bomb.npy")


def test_a_stack_larger_than_the_memory_needs_the_number_of_a_frame(tmp_path, monkeypatch):
    monkeypatch.setattr("weakbeam.core.memory.physical_memory", lambda: 1e9)
    path = tmp_path / "sparse.npy"
    path.write_bytes(npy((500, 512, 512)))
    with path.open("r+b") as file:
        file.truncate(file.seek(0, io.SEEK_END) + 8 * 500 * 512 * 512)
    refused(str(path), "GB of memory", "FILE#FRAME")
    assert read_images(f"{path}#3").frames.shape == (1, 512, 512)


def test_a_data_set_larger_than_the_memory(tmp_path):
    path = tmp_path / "sparse.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("images", (10**7, 512, 512), "f8", chunks=(1, 512, 512))
    refused(f"{path}::images", "GB of memory", "FILE#FRAME")
    assert read_images(f"{path}::images#3").frames.shape == (1, 512, 512)


def test_small_files_are_read_as_before(tmp_path):
    frames = np.arange(24.0).reshape(2, 3, 4)
    path = tmp_path / "two.npy"
    np.save(path, frames)
    assert np.array_equal(read_images(str(path)).frames, frames)
    # The file is not kept open.
    np.save(path, 2 * frames)
    assert np.array_equal(read_images(f"{path}#1").frames, 2 * frames[1:])
