"""Chunks written directly are what HDF5's own filters would have written, for any reader."""

import zlib

import h5py
import numpy as np
import pytest

from weakbeam.errors import InputError
from weakbeam.io import chunks


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_gzip_chunks_are_shuffled_zlib_streams(tmp_path, dtype):
    frames = np.random.default_rng(0).normal(1000, 10, (3, 8, 9)).astype(dtype)
    with h5py.File(tmp_path / "a.h5", "w") as file, chunks.compression_pool(2) as pool:
        stack = chunks.create_stack(file, "image", 3, (8, 9), frames.dtype)
        chunks.write_frames(stack, np.arange(3), frames, pool)
        assert stack.compression == "gzip"
        assert stack.shuffle
        mask, raw = stack.id.read_direct_chunk((1, 0, 0))
    assert mask == 0
    planes = np.frombuffer(zlib.decompress(raw), np.uint8).reshape(frames.itemsize, -1)
    assert np.array_equal(planes.T.reshape(-1), frames[1].reshape(-1).view(np.uint8))


@pytest.mark.parametrize("compression", chunks.COMPRESSIONS)
def test_unwritten_frames_are_there_and_zero(tmp_path, compression):
    if compression == "bitshuffle-lz4":
        pytest.importorskip("hdf5plugin")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        stack = chunks.create_stack(file, "image", 7, (8, 9), np.dtype("f4"), compression)
        assert stack.id.get_num_chunks() == 7
        assert not stack[()].any()


@pytest.mark.parametrize("compression", chunks.COMPRESSIONS)
def test_frames_land_where_they_belong(tmp_path, compression):
    if compression == "bitshuffle-lz4":
        pytest.importorskip("hdf5plugin")
    frames = np.arange(4 * 30, dtype=np.uint16).reshape(4, 5, 6)
    with h5py.File(tmp_path / "a.h5", "w") as file, chunks.compression_pool() as pool:
        stack = chunks.create_stack(file, "image", 6, (5, 6), frames.dtype, compression)
        chunks.write_frames(stack, np.array([5, 0, 3, 2]), frames, pool)
        assert np.array_equal(stack[()][[5, 0, 3, 2]], frames)
        assert not stack[()][[1, 4]].any()


def test_missing_plugin_is_told_with_its_remedy(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "hdf5plugin", None)
    with (
        h5py.File(tmp_path / "a.h5", "w") as file,
        pytest.raises(InputError, match=r"output\.compression.*weakbeam\[bitshuffle\]"),
    ):
        chunks.create_stack(file, "image", 1, (2, 2), np.dtype("u2"), "bitshuffle-lz4")
