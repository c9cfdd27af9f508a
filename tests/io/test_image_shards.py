"""Shards of small images."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from weakbeam.errors import RunError
from weakbeam.io.image_shards import padded, write_tar


def samples(count, fails=None):
    for number in range(count):
        if number == fails:
            raise RunError("the images end")
        yield f"{number:04d}", {"image": np.full((2, 3), number)}, {"number": number}


def test_equal_samples_make_equal_bytes_in_members_of_any_reader(tmp_path):
    for name in ("one.tar", "two.tar"):
        write_tar(tmp_path / "deep" / name, samples(3))
    one, two = (tmp_path / "deep" / name for name in ("one.tar", "two.tar"))
    assert one.read_bytes() == two.read_bytes()
    with tarfile.open(one) as tar:
        assert tar.getnames()[:3] == ["0000.image.npy", "0000.json", "0001.image.npy"]
        image = np.load(io.BytesIO(tar.extractfile("0002.image.npy").read()))
    np.testing.assert_array_equal(image, np.full((2, 3), 2))


def test_a_shard_is_there_as_a_whole_or_as_it_was(tmp_path):
    path = tmp_path / "shard.tar"
    with pytest.raises(RunError):
        write_tar(path, samples(3, fails=2))
    assert list(tmp_path.iterdir()) == []
    write_tar(path, samples(2))
    before = path.read_bytes()
    with pytest.raises(RunError):
        write_tar(path, samples(3, fails=2))
    assert path.read_bytes() == before


def test_a_place_that_takes_no_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="not written"):
        write_tar(tmp_path / "file" / "shard.tar", samples(1))


def test_rows_are_filled_up():
    rows = [np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]])]
    filled = padded(rows, (2, 2), np.nan)
    np.testing.assert_array_equal(filled, [[[1, 2], [np.nan, np.nan]], [[3, 4], [5, 6]]])
    assert padded([np.array([7], np.int32)], (2,), -1).tolist() == [[7, -1]]
