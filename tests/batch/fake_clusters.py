"""Commands of SLURM and LSF that run their scripts on this computer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# A job runs in a session of its own, so that cancelling it ends all of it. The script is copied, as
# by the real commands: it may be removed at once.
COMMANDS = {
    "sbatch": 'script=$(mktemp)\ncp "$1" "$script"\nsetsid sh "$script" >/dev/null 2>&1 &\n'
    'echo "$!" >> "$JOBS"\necho "Submitted batch job $!"\n',
    "scancel": 'kill -- "-$1" 2>/dev/null || true\n',
    "bsub": 'script=$(mktemp)\ncat > "$script"\nsetsid sh "$script" >/dev/null 2>&1 &\n'
    'echo "$!" >> "$JOBS"\necho "Job <$!> is submitted to queue <normal>."\n',
    "bkill": 'kill -- "-$1" 2>/dev/null || true\n',
    "lsid": 'echo "IBM Spectrum LSF Standard 10.1.0.0"\n',
}


def make_commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the commands in a folder, where they and the programs started by a test find them."""
    place = folder / "bin"
    place.mkdir()
    for name, text in COMMANDS.items():
        path = place / name
        path.write_text(f"#!/bin/sh\n{text}")
        path.chmod(0o755)
    monkeypatch.setenv("JOBS", str(folder / "jobs"))
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")


def submitted_jobs(folder: Path) -> list[int]:
    """Numbers of all jobs, each that of a group of processes."""
    try:
        return [int(number) for number in (folder / "jobs").read_text().split()]
    except FileNotFoundError:
        return []
