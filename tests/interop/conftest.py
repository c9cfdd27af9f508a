"""Other programs, each in an environment of its own; ``make test-interop`` makes them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 300


def find_python(name):
    """Python that has a program: WEAKBEAM_<NAME>_PYTHON, or that of ``make test-interop``."""
    variable = f"WEAKBEAM_{name.upper()}_PYTHON"
    path = Path(os.environ.get(variable) or ROOT / ".interop" / name / "bin" / "python")
    if not path.exists():
        pytest.skip(f"no environment with {name}: `make test-interop`, or set {variable}")
    return path


@pytest.fixture
def run_in(tmp_path):
    """Run text as a script of another program's Python, in the test's folder."""

    def run(name, text, *arguments):
        script = tmp_path / f"{name}_script.py"
        script.write_text(text, encoding="utf-8")
        call = [str(find_python(name)), str(script), *map(str, arguments)]
        environment = os.environ | {"QT_QPA_PLATFORM": "offscreen"}
        done = subprocess.run(
            call, cwd=tmp_path, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment
        )
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


@pytest.fixture
def run_shell(tmp_path):
    """Run the commands of weakbeam in the test's folder."""

    def run(text):
        program = Path(sys.executable).parent / "weakbeam"
        for line in text.splitlines():
            if line.startswith("weakbeam "):
                command = line.replace("weakbeam", str(program), 1)
                subprocess.run(command, shell=True, cwd=tmp_path, check=True, capture_output=True)

    return run
