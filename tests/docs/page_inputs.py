"""The files that readers of a page have already, in small: scans of a beamline, experiments."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from bliss_files import write_bliss
from PIL import Image

from weakbeam import Experiment, map_scan, read_scan, record, simulate
from weakbeam.io.maps_file import write_maps
from weakbeam.measured.stored import stored_maps

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data"
EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL = ["camera.pixels=[20, 30]"]

DFXM_GEO = """
[reciprocal]
hkl = [-1, 1, -1]
keV = 17.0
backend = "analytic"
beamstop = false
"""


def mosaic_stack(chi: np.ndarray, phi: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Counts of a bent crystal rocked by two angles (deg): Gaussian curves above a level."""
    rows, columns = np.indices(shape)
    centre = 0.02 * (columns / shape[1] - 0.5)
    curve = np.exp(
        -0.5 * ((phi[:, None, None] - centre) / 0.02) ** 2
        - 0.5 * ((chi[:, None, None] - 0.01 * rows / shape[0]) / 0.08) ** 2
    )
    return np.random.default_rng(1).poisson(3000 * curve + 100).astype("uint16")


def grid(slow: np.ndarray, fast: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.meshgrid(slow, fast, indexing="ij")
    return a.ravel(), b.ravel()


def scans_of_a_beamline(folder: Path) -> None:
    chi, phi = grid(np.linspace(-0.3, 0.3, 11), np.linspace(-0.1, 0.1, 21))
    title = "fscan2d chi -0.3 0.06 11 phi -0.1 0.01 21 0.5"
    write_bliss(folder / "mosa_scan.h5", "loopscan 5 0.5", {}, None)
    motors = {"chi": chi, "phi": phi}
    stack = mosaic_stack(chi, phi, (50, 40))
    write_bliss(folder / "mosa_scan.h5", title, motors, stack, entry="2.1")
    np.save(folder / "mask.npy", np.arange(50 * 40).reshape(50, 40) == 777)
    fast = np.linspace(-0.1, 0.1, 41)
    stack = mosaic_stack(0 * fast, fast, (20, 30))
    title = "fscan phi -0.1 0.005 41 0.5"
    write_bliss(folder / "rocking.h5", title, {"phi": fast}, stack)
    for number, energy in enumerate(np.linspace(-0.01, 0.01, 9), 1):
        factor = np.exp(-0.5 * (energy / 0.004) ** 2)
        entry = f"{number}.1"
        stack = (factor * mosaic_stack(0 * fast, fast, (20, 30))).astype("uint16")
        write_bliss(folder / "strain.h5", title, {"phi": fast}, stack, entry=entry)
        with h5py.File(folder / "strain.h5", "a") as file:
            file[f"{entry}/instrument/positioners/ccmth"] = 6.7 + energy
            file[f"{entry}/measurement/pico4"] = np.full(fast.size, 1e-7)
    stack = mosaic_stack(0 * fast, fast, (20, 30))
    write_strain_scan(folder / "2017/strain", fast[::4], stack[::4])
    a_mosaicity_scan(folder, 21)


def write_edf(path: Path, frames: list[np.ndarray], keys: dict[str, object] | None = None) -> None:
    """Frames one after the other, each under a header of 1024 bytes, as SPEC writes them."""
    with path.open("wb") as file:
        for frame in frames:
            said: dict[str, object] = {"ByteOrder": "LowByteFirst", "DataType": "UnsignedShort"}
            said |= {"Dim_1": frame.shape[1], "Dim_2": frame.shape[0], "Size": frame.nbytes}
            said |= keys or {}
            text = "{\n" + "".join(f"{key} = {value} ;\n" for key, value in said.items())
            file.write(f"{text:<1022}}}\n".encode() + frame.tobytes())


def write_strain_scan(folder: Path, positions: np.ndarray, stack: np.ndarray) -> None:
    """A scan of the old ID06: a file for each frame, with the motors in its header."""
    folder.mkdir(parents=True)
    title = f"ascan  diffry {positions[0]} {positions[-1]} {len(positions) - 1} 1"
    for number, (position, frame) in enumerate(zip(positions, stack, strict=True)):
        motors = {"motor_mne": "diffry obpitch", "motor_pos": f"{position:.6f} 17.9"}
        write_edf(folder / f"strain_{number:04d}.edf", [frame], {"title": title, **motors})


def frames_to_identify(folder: Path) -> None:
    """Frames at opposite phi, in every kind of file that the page names."""
    base = Experiment().with_settings(["camera.model=pco_edge", "beam.height_fwhm_um=0.6"])
    pair = base.with_settings(["scan.phi.half_range_mrad=0.15", "scan.phi.steps=2"])
    minus, plus = simulate(pair).images.values
    measured = record(base.with_settings(["scan.phi.value_mrad=0.15"]), folder / "run")
    shutil.copy(measured.file, folder / "measured.h5")
    positions = np.linspace(-0.01, 0.01, 18)
    stack = np.stack([plus] * positions.size)
    write_bliss(folder / "scan.h5", "fscan phi", {"phi": positions}, stack, entry="3.1")
    with h5py.File(folder / "lab.h5", "w") as file:
        file["data/frames"] = np.stack([minus, minus, plus])
    write_edf(folder / "plus.edf", [plus])
    write_edf(folder / "minus.edf", [minus])
    write_edf(folder / "both.edf", [plus, minus])
    Image.fromarray(plus).save(folder / "frame.tif")
    dark = np.random.default_rng(2).normal(107, 2, (5, *plus.shape)).astype("uint16")
    write_bliss(folder / "frame.h5", "loopscan 1 1", {}, plus[None], entry="4.1")
    write_bliss(folder / "frame.h5", "loopscan 5 1", {}, dark, entry="7.1")


def sides_to_compare(folder: Path) -> None:
    scan = [*SMALL, "scan.phi.half_range_mrad=0.3", "scan.phi.steps=31", "output.figures=false"]
    rocking = Experiment().with_settings(scan)
    both = rocking.replace(reflections=[{"hkl": (-1, 1, -1)}, {"hkl": (1, -1, 1)}])
    record(both, folder / "run")
    record(rocking, folder / "edge")
    record(rocking.with_settings(["defects[0].angle_deg=0"]), folder / "screw")
    for name in ("before", "after"):
        mapped = map_scan(read_scan(folder / "edge/weakbeam.h5"))
        write_maps(folder / f"{name}_maps/maps.h5", "1.1", stored_maps(mapped, "none", "0"))
    phi = 17 + np.degrees(np.linspace(-0.3e-3, 0.3e-3, 31))
    stack = mosaic_stack(0 * phi, 2 * (phi - 17), (20, 30))
    write_bliss(folder / "measured.h5", "fscan phi", {"phi": phi}, stack, entry="2.1")
    Image.fromarray(stack[15]).save(folder / "image.tif")


def a_network(folder: Path) -> None:
    example = runpy.run_path(str(ROOT / "examples/networks.py"))
    (folder / "network.data").write_text(example["paradis"](*example["network"]()))


def a_run_and_a_grid(folder: Path) -> None:
    a_small_run(folder)
    np.savez(folder / "grain.npz", beta=np.zeros((5, 5, 5, 3, 3)), spacing_um=0.5)


def a_small_run(folder: Path) -> None:
    record(Experiment().with_settings(SMALL), folder / "run")


def a_mosaicity_scan(folder: Path, steps: int = 61) -> None:
    settings = [*SMALL, "scan.phi.half_range_mrad=0.6", f"scan.phi.steps={steps}"]
    settings += ["scan.chi.half_range_mrad=2", f"scan.chi.steps={steps}"]
    record(Experiment().with_settings(settings), folder / "run")


def an_experiment(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(Experiment().with_settings(SMALL).to_toml())

    return write


def a_stop(folder: Path) -> None:
    text = '[objective.stop]\nkind = "square_aperture"\nsize_um = 25\n'
    (folder / "stop.toml").write_text(text)


def a_file_of_dfxm_geo(folder: Path) -> None:
    (folder / "configs").mkdir()
    (folder / "configs/default.toml").write_text(DFXM_GEO)


def crystals(folder: Path) -> None:
    shutil.copy(DATA / "quartz.cif", folder)


def the_scan_of_another_program(folder: Path) -> None:
    (folder / "examples").mkdir()
    shutil.copy(EXAMPLES / "measured_stack.py", folder / "examples")


GIVEN: dict[str, Callable[[Path], None]] = {
    "docs/how-to/compare.md": sides_to_compare,
    "docs/how-to/crystals.md": crystals,
    "docs/how-to/defects.md": a_run_and_a_grid,
    "docs/how-to/from-dfxm-geo.md": a_file_of_dfxm_geo,
    "docs/how-to/identify-match.md": frames_to_identify,
    "docs/how-to/long-runs.md": an_experiment("scan.toml"),
    "docs/how-to/maps.md": scans_of_a_beamline,
    "docs/how-to/networks.md": a_network,
    "docs/how-to/ray-tracing.md": a_stop,
    "docs/how-to/repeat-a-run.md": a_mosaicity_scan,
    "docs/how-to/sweeps.md": an_experiment("experiment.toml"),
    "docs/tutorials/stack.md": the_scan_of_another_program,
}
