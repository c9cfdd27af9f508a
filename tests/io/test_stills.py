"""Masks and dark frames from files of several kinds."""

import h5py
import numpy as np
import pytest
from bliss_files import write_bliss
from PIL import Image

from weakbeam.errors import InputError
from weakbeam.io.stills import read_dark, read_mask

SHAPE = (6, 9)
MASK = np.zeros(SHAPE, bool)
MASK[1:3, 4:8] = True
DARK = np.random.default_rng(0).integers(90, 110, (4, *SHAPE)).astype(np.uint16)


def write_edf(path, image):
    header = f"{{ DataType = UnsignedShort ; Dim_1 = {SHAPE[1]} ; Dim_2 = {SHAPE[0]} ;"
    path.write_bytes(header.ljust(510).encode() + b"}\n" + image.astype("<u2").tobytes())


def test_a_mask_of_any_kind(tmp_path):
    np.save(tmp_path / "bool.npy", MASK)
    np.save(tmp_path / "number.npy", np.where(MASK, 7, 0))
    np.save(tmp_path / "nan.npy", np.where(MASK, np.nan, 0.0))
    Image.fromarray(MASK.astype(np.uint8)).save(tmp_path / "a.tif")
    write_edf(tmp_path / "a.edf", MASK)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["some/mask"] = MASK
        file["some/numbers"] = np.stack([MASK, 0 * MASK]).astype(np.int8)
    places = ("a.h5::some/mask", "a.h5::some/numbers", "bool.npy", "number.npy", "nan.npy")
    for place in (*places, "a.tif", "a.edf"):
        np.testing.assert_array_equal(read_mask(f"{tmp_path}/{place}", SHAPE), MASK)


def test_dark_frames_of_any_kind(tmp_path):
    np.save(tmp_path / "a.npy", DARK)
    write_edf(tmp_path / "a.edf", DARK[0])
    write_bliss(tmp_path / "a.h5", "loopscan 4 0.5", {}, DARK)
    for place, frames in (("a.npy", DARK), ("a.edf", DARK[:1]), ("a.h5::1.1", DARK)):
        found = read_dark(f"{tmp_path}/{place}", SHAPE)
        np.testing.assert_allclose(found, frames.mean(axis=0))


def test_mistakes(tmp_path):
    np.save(tmp_path / "small.npy", MASK[:3])
    np.save(tmp_path / "all.npy", np.ones(SHAPE))
    np.save(tmp_path / "text.npy", np.full(SHAPE, "a"))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["mask"] = MASK.astype(int)
    for name, said in (
        ("small.npy", "3 x 9 pixels; those of the camera are 6 x 9"),
        ("all.npy", "masks every pixel"),
        ("text.npy", "no image"),
        ("none.npy", "no such file"),
        ("a.h5", "a.h5::mask"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            read_mask(f"{tmp_path}/{name}", SHAPE)
        assert caught.value.key == "mask"
    with pytest.raises(InputError, match="no image"):
        read_dark(f"{tmp_path}/text.npy", SHAPE)
