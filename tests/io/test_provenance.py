"""Hashes, versions and time stamps."""

import hashlib
from datetime import datetime

import numpy as np

from weakbeam.io.provenance import environment, file_sha256, text_sha256, timestamp


def test_hashes_are_those_of_sha256(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"\x00\xff" * 100_000)
    assert file_sha256(tmp_path / "a.bin") == hashlib.sha256(b"\x00\xff" * 100_000).hexdigest()
    assert text_sha256("θ") == hashlib.sha256(b"\xce\xb8").hexdigest()


def test_time_stamp_is_now_with_offset():
    stamp = datetime.fromisoformat(timestamp())
    assert stamp.utcoffset() is not None
    assert abs((datetime.now().astimezone() - stamp).total_seconds()) < 5


def test_environment_names_versions():
    assert environment()["numpy"] == np.__version__
    assert all(isinstance(value, str) for value in environment().values())
