"""Hashes, versions and time stamps."""

import hashlib
import importlib.metadata
import re
import time
from datetime import datetime

import numpy as np

from weakbeam.io.provenance import (
    environment,
    file_sha256,
    program_version,
    requirements,
    text_sha256,
    timestamp,
)


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
    for name in ("numba", "llvmlite", "h5py", "click", "pillow"):
        assert environment()[name] == importlib.metadata.version(name)


def test_requirements_are_what_pip_installs():
    then = {"python": "3.11.7", "numpy": "2.1.0", "hdf5plugin": "not installed", "isal": "1.7.0"}
    assert requirements("0.1.0", then) == "weakbeam==0.1.0\nnumpy==2.1.0\nisal==1.7.0\n"
    now = requirements(program_version(), environment()).splitlines()
    assert f"numpy=={np.__version__}" in now
    assert all(re.fullmatch(r"[a-z0-9]+==[0-9][^ ]*", line) for line in now)


def test_versions_are_found_at_once():
    times = []
    for _ in range(10):
        environment.cache_clear()
        start = time.perf_counter()
        environment()
        times.append(time.perf_counter() - start)
    # A run that makes its first image feels it.
    assert min(times) < 0.02
