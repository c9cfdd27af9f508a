"""Images of dfxm-geo 3.0.0 beside those of the same files converted to experiments.

    python -m benchmarks.compatibility [--dfxm-geo PYTHON] [--only edge screw ...]

PYTHON is the interpreter of an environment with dfxm-geo 3.0.0, or that environment's folder;
without one, an environment is made and dfxm-geo installed into it, which is removed at the end.

Each file is run by the commands of dfxm-geo with its closed-form backend, and twice by weakbeam:
converted with `--reproduce`, which takes projection, Burgers vectors and cores of dfxm-geo, and
without. The first difference is the largest of any pixel relative to the brightest one, the second
the norm of the difference relative to that of the image: what projection and core change.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 (dfxm-geo may compress its frames)
import numpy as np

import weakbeam as wb
from benchmarks._measure import machine, print_table, scratch
from weakbeam.compat.conversion import convert

VERSION = "3.0.0"

AGREED = 1e-4
"""Largest difference of what is to agree."""

HEAD = """[reciprocal]
backend = "analytic"
beamstop = false
[detector]
model = "ideal"
"""

SMALL = """[detector_geometry]
pixel_size = 4e-6
magnification = 100
Npixels = 150
Nsub = {nsub}
"""

FORWARD = """[io]
write_strain_provenance = false
include_perfect_crystal = false
[postprocess]
enabled = false
"""

WEAK = "[scan.phi]\nvalue = 1.5e-4\n"

IDENTIFY = """mode = "single"
[crystal]
angle_start_deg = {angle}
angle_stop_deg = {angle}
b_vector_indices = [0]
sweep_all_slip_planes = false
exclude_invisibility = false
"""


@dataclass(frozen=True)
class Case:
    """A file of dfxm-geo.

    Parameters
    ----------
    text : str
        What it says beside `HEAD`.
    agrees : bool
        Whether the physics of dfxm-geo is right there, so that its images are to be reproduced.
    angle : float, optional
        Character of a dislocation (degrees) that only ``dfxm-identify`` can make.
    """

    text: str
    agrees: bool = True
    angle: float | None = None


def crystal(mode: str, keys: str) -> str:
    return f'[crystal]\nmode = "{mode}"\n[crystal.{mode}]\n{keys}\n'


def wall(count: int, spacing: float, mount: str = "S1") -> str:
    return crystal("wall", f'dis = {spacing}\nndis = {count}\nsample_remount = "{mount}"')


SMALL_WEAK = SMALL.format(nsub=1) + WEAK
CASES = {
    "edge": Case(WEAK),
    "edge, strong beam": Case(SMALL.format(nsub=1)),
    "edge [1 -1 0]": Case(
        SMALL_WEAK + crystal("centered", "b = [1, -1, 0]\nn = [1, 1, 1]\nt = [1, 1, -2]")
    ),
    "edge, chi": Case(SMALL_WEAK + "[scan.chi]\nvalue = 3e-4\n"),
    "edge, 2 x 2 points": Case(SMALL.format(nsub=2) + WEAK),
    "edge, 3 x 3 frames": Case(
        SMALL.format(nsub=1)
        + "[scan.phi]\nrange = 3e-4\nsteps = 3\n[scan.chi]\nrange = 5e-4\nsteps = 3\n"
    ),
    "edge, z": Case(WEAK + "[scan.z]\nvalue = 1.0\n"),
    "screw": Case(WEAK, angle=90.0),
    "five random edges": Case(SMALL_WEAK + crystal("random_dislocations", "ndis = 5\nseed = 1")),
    "wall of 7": Case(SMALL_WEAK + wall(7, 1.0)),
    "wall of 4": Case(SMALL_WEAK + wall(4, 0.7)),
    "wall of 7501": Case(SMALL_WEAK + wall(7501, 0.25)),
    "edge, 2theta": Case(WEAK + "[scan.two_dtheta]\nvalue = 1e-4\n", agrees=False),
    "mixed, 30 deg": Case(WEAK, agrees=False, angle=30.0),
    "remounted wall": Case(SMALL_WEAK + wall(7, 1.0, "S2"), agrees=False),
}


@contextmanager
def programs(given: Path | None) -> Iterator[Path]:
    """The folder with the commands of dfxm-geo, installed if none is given."""
    if given is not None:
        yield given.absolute() / "bin" if given.is_dir() else given.absolute().parent
        return
    with scratch() as folder:
        print(f"installing dfxm-geo {VERSION} ...", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q"]
        subprocess.run([*command, f"dfxm-geo=={VERSION}"], check=True)
        yield folder / "bin"


def theirs(case: Case, folder: Path, bin_folder: Path) -> np.ndarray[Any, Any]:
    """Frames of dfxm-geo, with rows along 2theta."""
    program, text, file = "dfxm-forward", HEAD + FORWARD + case.text, "dfxm_geo.h5"
    if case.angle is not None:
        program, file = "dfxm-identify", "dfxm_identify.h5"
        text = IDENTIFY.format(angle=case.angle) + HEAD + case.text
    config, output = folder / "config.toml", folder / "run"
    config.write_text(text)
    command = [str(bin_folder / program), "--config", str(config), "--output", str(output)]
    subprocess.run(command, check=True, capture_output=True, cwd=folder)
    with h5py.File(output / file) as opened:
        frames = opened["1.1/measurement/dfxm_sim_detector"][()]
    return np.asarray(np.swapaxes(frames, 1, 2)[:, ::-1])


def ours(case: Case, *, reproduce: bool) -> np.ndarray[Any, Any]:
    """Frames of the converted file."""
    conversion = convert(tomllib.loads(HEAD + FORWARD + case.text), reproduce=reproduce)
    experiment = conversion.experiment
    if case.angle is not None:
        character = [f"defects[0].character_deg={case.angle}", "defects[0].burgers=[-1, 1, 0]"]
        experiment = experiment.with_settings(character)
    images = wb.simulate(experiment).images.values
    return images.reshape(-1, *images.shape[-2:])


def main() -> None:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--dfxm-geo", type=Path, metavar="PYTHON", help="its environment")
    arguments.add_argument("--only", nargs="+", choices=CASES, default=list(CASES), metavar="CASE")
    options = arguments.parse_args()
    rows, worst = [], 0.0
    with programs(options.dfxm_geo) as bin_folder:
        for name in options.only:
            case = CASES[name]
            with scratch() as folder:
                expected = theirs(case, folder, bin_folder)
            same, new = ours(case, reproduce=True), ours(case, reproduce=False)
            largest = float(np.abs(same - expected).max() / expected.max())
            changed = float(np.linalg.norm(new - expected) / np.linalg.norm(expected))
            if case.agrees:
                worst = max(worst, largest)
            kind = "same physics" if case.agrees else "other physics"
            rows.append(
                [name, str(len(expected)), kind, f"{largest:.1e}", f"{100 * changed:.2g} %"]
            )
            print(f"  {name}: {largest:.1e}", file=sys.stderr, flush=True)
    print(machine())
    print_table(
        f"dfxm-geo {VERSION} beside weakbeam",
        ("file", "frames", "", "reproduced to", "new physics changes"),
        rows,
    )
    verdict = "agrees" if worst <= AGREED else "DIFFERS"
    print(f"\n{verdict}: at most {worst:.1e} where the physics is the same (wanted: {AGREED:.0e})")
    raise SystemExit(worst > AGREED)


if __name__ == "__main__":
    main()
