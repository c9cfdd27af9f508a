"""Numbers beyond every camera, and commands without what they need: one line."""

from __future__ import annotations

import sys
import warnings

import numpy as np
import pytest

from weakbeam.cli.main import dfxm_forward
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.experiment.toml_text import parse_toml
from weakbeam.fit.observation import Noise
from weakbeam.identify.library.writing import generate_images

KEYS = ["camera.pixels=[12, 16]", "identify.character_step_deg=90", "scan.phi.value_mrad=0.1"]


@pytest.fixture(autouse=True)
def _warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


def one_line(result, *words):
    assert result.status == 2, result
    (line,) = result.err.splitlines()
    assert all(word in line for word in words), line


@pytest.mark.parametrize("width", ["1e-310", "1e-13", "nan", "0", "11"])
def test_ranges_of_a_kernel(weakbeam, tmp_path, width):
    few = ("--rays", "1000", "--bins", "3", "3", "3", "-o", tmp_path / "k.h5")
    one_line(weakbeam("bootstrap", *few, "--ranges", width, "0.1", "0.1"), "--ranges")


@pytest.mark.parametrize(
    ("gain", "floor"), [(1e300, 1e300), (1e308, 0), (0, 1e-320), (1e-300, 1e-300), (-1, 1)]
)
def test_noise_that_no_camera_has(gain, floor):
    with pytest.raises(ValueError, match="must lie between"):
        Noise(gain, floor)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("library")
    generate_images(Experiment().with_settings([*KEYS, "camera.oversampling=point"]), folder)
    return folder


@pytest.mark.parametrize("hot", [2e15, 1e30, 3e38, -3e38, np.inf, np.nan])
def test_hot_pixels_do_not_count(weakbeam, library, tmp_path, hot):
    image = np.random.default_rng(0).poisson(100, (40, 60)).astype("f4")
    image[2, 3] = image[20, 20] = hot
    np.save(tmp_path / "hot.npy", image)
    at = ("--phi", "0.1", "--pixel-nm", "40", "--max-shift", "2", "--format", "none", "--exact")
    place = ("-l", library, "-o", tmp_path / "match")
    result = weakbeam("identify", "match", tmp_path / "hot.npy", *place, *at)
    assert result.status == 0, result.err
    assert "2 pixels do not count" in result.err


def test_a_tiny_step_is_refused_before_anything_is_counted(weakbeam, tmp_path):
    step = "--set=identify.character_step_deg=0.01"
    result = weakbeam("identify", "generate", step, "-o", tmp_path / "library")
    one_line(result, "identify.character_step_deg = 0.01", "432000 types", "at most 20000")
    assert not (tmp_path / "library").exists()


def test_a_kernel_of_neighbours_larger_than_any(weakbeam, tmp_path):
    few = ("--set=scan.phi.half_range_mrad=0.3", "--set=scan.phi.steps=3", "-q")
    small = ("--set=camera.pixels=[4, 6]", "--set=output.figures=false")
    assert weakbeam("forward", "-o", tmp_path / "run", *few, *small).status == 0
    file = tmp_path / "run" / "weakbeam.h5"
    result = weakbeam("maps", file, "-o", tmp_path / "maps", "--kernel", 10**9 + 1)
    one_line(result, "--kernel = 1000000001", "from 3 to 99")


def test_thousands_of_unknown_keys_are_told_at_once(monkeypatch):
    sought = []

    def unknown(key, path, table, root):
        sought.append(key)
        return "unknown key"

    monkeypatch.setattr("weakbeam.experiment.mistakes._unknown", unknown)
    text = "".join(f"scan.phi.k{k} = 1\n" for k in range(3000))
    with pytest.raises(InputError, match=r"scan\.phi\.k0.*and 2999 more"):
        Experiment.from_toml_text(text)
    assert sought == ["k0"]


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 30_000) + " = 1",
        "[" + ".".join(["a"] * 30_000) + "]",
        "a = { b = 1, " + ".".join(["c"] * 30_000) + " = 2 }",
    ],
)
def test_a_key_of_very_many_parts(text):
    with pytest.raises(InputError, match="nested too deeply"):
        parse_toml(text, "x.toml")


def test_long_lists_of_numbers_are_no_keys():
    numbers = ", ".join(f"{k}.5" for k in range(300))
    rows = f"a = [{numbers}]\nb = [\n[{numbers}],\n[{numbers}]]\nc = {{ d = [{numbers}], e = 1 }}"
    assert len(parse_toml(rows, "x.toml")["b"][1]) == 300


@pytest.mark.parametrize(
    ("group", "commands"),
    [
        ((), "init, forward, rerun, "),
        (("identify",), "generate, match, study"),
        (("sweep",), "run"),
    ],
)
def test_a_group_without_a_command_says_which_there_are(weakbeam, group, commands):
    result = weakbeam(*group)
    assert result.status == 2
    assert f"needs a command: {commands}" in result.err.splitlines()[-1]


def test_dfxm_forward_needs_a_file(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["dfxm-forward", "--output", "run"])
    with pytest.raises(SystemExit) as ended:
        dfxm_forward()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("weakbeam: --config: is missing")
    assert not list(tmp_path.iterdir())
