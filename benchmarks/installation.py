"""Build the distributions, install the wheel in an environment of its own, and weigh it.

    python benchmarks/installation.py [--python python3.13] [--limit-mb 650]

Needs a package index. Nothing is compiled: only wheels are taken. Prints what the distributions
hold that they should not or lack, the packages by their size on the disk, and ends with status 1
where the whole is larger than the limit or the default experiment does not run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHOWN = 12

IN_WHEEL = ("weakbeam/py.typed", "weakbeam/instrument/presets/id06.toml", "weakbeam/cli/main.py")
IN_SDIST = ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "src/weakbeam/py.typed")
NOWHERE = ("tests/", ".hypothesis", "__pycache__", ".nbi", ".h5")


def main() -> None:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--python", default=sys.executable, help="interpreter to install for")
    arguments.add_argument("--limit-mb", type=float, default=650.0)
    chosen = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        wheel, sdist = build(folder)
        mistakes = content_mistakes(wheel, sdist)
        packages = install(wheel, folder / "clean", chosen.python)
        total = sum(packages.values())
        for name, size in sorted(packages.items(), key=lambda item: -item[1])[:SHOWN]:
            print(f"{name:<24}{size / 1e6:8.1f} MB")
        print(f"{'all':<24}{total / 1e6:8.1f} MB of at most {chosen.limit_mb:.0f}")
        mistakes += [f"larger than {chosen.limit_mb:.0f} MB"] * (total > 1e6 * chosen.limit_mb)
        run(executable(folder / "clean", "weakbeam"), "forward", "-q", "-o", str(folder / "run"))
    for mistake in mistakes:
        print(f"mistake: {mistake}", file=sys.stderr)
    sys.exit(bool(mistakes))


def build(folder: Path) -> tuple[Path, Path]:
    """Build wheel and source distribution with an isolated build tool."""
    run(sys.executable, "-m", "venv", str(folder / "build"))
    python = executable(folder / "build", "python")
    run(python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "build")
    run(python, "-m", "build", "-o", str(folder / "dist"), str(ROOT), quiet=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    return wheel, sdist


def content_mistakes(wheel: Path, sdist: Path) -> list[str]:
    """What the distributions lack, or hold too much."""
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = set(archive.namelist())
    with tarfile.open(sdist) as archive:
        in_sdist = {name.partition("/")[2] for name in archive.getnames()}
    mistakes = [f"{wheel.name} lacks {name}" for name in IN_WHEEL if name not in in_wheel]
    mistakes += [f"{sdist.name} lacks {name}" for name in IN_SDIST if name not in in_sdist]
    for name in sorted(in_wheel | in_sdist):
        if any(part in name for part in NOWHERE):
            mistakes.append(f"{name} does not belong into a distribution")
    return mistakes


def install(wheel: Path, folder: Path, python: str) -> dict[str, int]:
    """Install a wheel where nothing is; bytes of each package on the disk."""
    run(python, "-m", "venv", str(folder))
    inside = executable(folder, "python")
    ask = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    site = Path(subprocess.check_output([inside, "-c", ask], text=True).strip())
    before = {path.name for path in site.iterdir()}
    options = ["-q", "--disable-pip-version-check", "--only-binary", ":all:"]
    run(inside, "-m", "pip", "install", *options, str(wheel))
    return {path.name: size(path) for path in site.iterdir() if path.name not in before}


def size(path: Path) -> int:
    """Bytes that a file, or all files of a folder, take on the disk."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    return sum(file.stat().st_size for file in files)


def executable(environment: Path, name: str) -> str:
    """A program of a virtual environment."""
    if os.name == "nt":
        return str(environment / "Scripts" / f"{name}.exe")
    return str(environment / "bin" / name)


def run(*command: str, quiet: bool = False) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL if quiet else None)


if __name__ == "__main__":
    main()
