"""What a release consists of agrees with itself."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
RECIPE = (ROOT / "packaging/conda/recipe.yaml").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

CONDA_NAMES = {"matplotlib": "matplotlib-base", "isal": "python-isal"}


def test_versions_agree():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (\S+)$", citation, re.MULTILINE)[1] == PROJECT["version"]
    assert re.search(r'^  version: "(\S+)"$', RECIPE, re.MULTILINE)[1] == PROJECT["version"]


def test_the_recipe_has_the_dependencies_of_the_project():
    run = RECIPE.partition("  run:\n")[2].partition("\n\n")[0]
    listed = dict(re.findall(r"^    - ([a-z0-9-]+) (>=[0-9.]+)$", run, re.MULTILINE))
    wanted = dict(
        re.fullmatch(r"([a-z0-9-]+)(>=[0-9.]+)", d).groups() for d in PROJECT["dependencies"]
    )
    assert listed == {CONDA_NAMES.get(name, name): version for name, version in wanted.items()}


def test_the_recipe_has_the_commands_of_the_project():
    commands = dict(re.findall(r"^      - ([a-z-]+) = (\S+)$", RECIPE, re.MULTILINE))
    assert commands == PROJECT["scripts"]


@pytest.mark.parametrize("name", PROJECT["scripts"])
def test_commands_lead_somewhere(name):
    installed = {point.name: point for point in entry_points(group="console_scripts")}
    if name not in installed:
        pytest.skip("the package was installed before this command was added")
    assert callable(installed[name].load())


def test_workflow_runs_every_supported_python():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8")
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert re.findall(r"python: \[(.*)\]", workflow) == [", ".join(f'"{v}"' for v in named)]


def test_nothing_needs_a_posix_system():
    """Modules that only POSIX has are imported where their absence is expected."""
    posix = re.compile(r"^(\s*)(?:import|from) (fcntl|resource|pwd|grp|termios)\b", re.MULTILINE)
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"get_context\(.fork|[\"']/tmp", text), path
        # Where processes are copied, another way stands beside it for other systems.
        assert "os.fork" not in text or 'sys.platform == "linux"' in text, path
        for found in posix.finditer(text):
            assert found[1], f"{path} imports {found[2]} unconditionally"
        # Files are renamed onto others with replace(), which Windows allows as well.
        assert not re.search(r"\bos\.rename\(|\.rename\(", text), path


def test_this_python_is_supported():
    assert sys.version_info >= (3, 11)
    assert PROJECT["requires-python"] == ">=3.11"
