"""Help: an example for every command, and nothing heavy loaded for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from weakbeam.cli.program import weakbeam as program

HEAVY = ("numpy", "scipy", "matplotlib", "numba", "h5py", "gemmi", "pydantic", "xraydb", "tqdm")


@pytest.mark.parametrize("name", ["", *program.commands])
def test_help_has_an_example_and_fits_a_terminal(weakbeam, name):
    result = weakbeam(*([name] if name else []), "--help")
    assert result.status == 0
    assert "Example" in result.out
    assert f"weakbeam {name}".strip() in result.out
    assert max(map(len, result.out.splitlines())) <= 88


@pytest.mark.parametrize("arguments", [["--help"], ["forward", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    code = (
        "import sys\n"
        "from weakbeam.cli.main import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as ended: assert not ended.code\n"
        f"loaded = [name for name in {HEAVY} if name in sys.modules]\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def test_version(weakbeam):
    result = weakbeam("--version")
    assert result.status == 0
    assert result.out.startswith("weakbeam, version ")


@pytest.mark.parametrize("arguments", [(), ("sweep",), ("identify",)])
def test_a_group_that_is_given_nothing_shows_its_help(weakbeam, arguments):
    result = weakbeam(*arguments)
    assert result.status == 2
    assert result.err.startswith("Usage: ")
    assert "\nCommands:\n" in result.err
