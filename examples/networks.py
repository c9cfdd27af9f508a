"""A network of dislocation dynamics: its file, a φ scan through it as a movie, and its sections.

python examples/networks.py [FOLDER]

Writes network.data, a ParaDiS file of glide loops and planar junctions in a box that repeats, with
the experiments that read it; simulates them, and draws network.png, network-phi.gif and
network-sections.gif. The same commands read files of a simulation.
"""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np

B_NM = 0.28634
BOX_UM = 12.0

EXPERIMENT = """
[crystal]
material = "Al"

[[defects]]
kind = "network"
file = "network.data"
burgers_length_nm = 0.28634     # the file counts in Burgers vectors

[beam]
height_fwhm_um = 0.6

[camera]
pixels = [43, 128]
pixel_nm = 160

[scan.{axis}]
{range}
"""

SCANS = {
    "phi": ("phi", "half_range_mrad = 0.3\nsteps = 17"),
    "sections": ("z", "half_range_um = 3\nsteps = 17\n\n[scan.phi]\nvalue_mrad = 0.14"),
}

PLANES = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / np.sqrt(3.0)
FACES = np.array([[1, -1, 0], [1, 0, -1], [0, 1, -1], [1, 1, 0], [1, 0, 1], [0, 1, 1]])


def network(seed: int = 4) -> tuple[np.ndarray, list[tuple[int, int, np.ndarray, np.ndarray]]]:
    """Nodes (µm) and arms: from, to, Burgers vector in its own length, normal of the plane."""
    random = np.random.default_rng(seed)
    nodes: list[np.ndarray] = []
    arms = []

    def add(corners: np.ndarray, closed: bool, b: np.ndarray, normal: np.ndarray, ends=()) -> None:
        """Join corners by arms; open chains between two nodes that are there."""
        numbers = [len(nodes) + k for k in range(len(corners))]
        nodes.extend(corners)
        chain = [*numbers, numbers[0]] if closed else [ends[0], *numbers, ends[1]]
        arms.extend((i, j, b, normal) for i, j in pairwise(chain))

    for which in range(14):
        normal = PLANES[which % 4]
        b = random.choice(FACES[np.abs(FACES @ normal) < 1e-9]) / np.sqrt(2.0)
        u = b
        v = np.cross(normal, u)
        centre = random.uniform(-BOX_UM / 2, BOX_UM / 2, 3)
        angle = 2.0 * np.pi * np.arange(12)[:, None] / 12
        radius = random.uniform(0.8, 2.2)
        add(centre + radius * (1.3 * np.cos(angle) * u + np.sin(angle) * v), True, b, normal)
    for which in range(4):
        # Three arms from node to node, whose Burgers vectors add up to zero.
        normal = PLANES[which]
        mine = FACES[np.abs(FACES @ normal) < 1e-9] / np.sqrt(2.0)
        signs = np.array([(1, x, y) for x in (1, -1) for y in (1, -1)])
        signs = signs[np.argmin([np.abs(s @ mine).max() for s in signs])]
        u = np.cross(normal, mine[0])
        v = np.cross(normal, u)
        centre = random.uniform(-BOX_UM / 2, BOX_UM / 2, 3)
        first = len(nodes)
        nodes.extend([centre - 2.0 * u, centre + 2.0 * u])
        for bow, b in zip((-1.2, 0.1, 1.1), signs[:, None] * mine, strict=True):
            along = np.linspace(-1.6, 1.6, 7)[:, None]
            bowed = centre + along * u + bow * (1.0 - (along / 2.0) ** 2) * v
            add(bowed, False, b, normal, (first, first + 1))
    return np.array(nodes), arms


def paradis(nodes: np.ndarray, arms: list[tuple[int, int, np.ndarray, np.ndarray]]) -> str:
    """The network as ParaDiS writes it: every arm with both of its nodes, positions folded."""
    unit = 1e-3 * B_NM
    half = 0.5 * BOX_UM / unit
    low, high = (f"[ {sign}{half:.6f} {sign}{half:.6f} {sign}{half:.6f} ]" for sign in ("-", ""))
    lines = ["dataFileVersion = 4", "numFileSegments = 1", f"minCoordinates = {low}"]
    lines += [f"maxCoordinates = {high}", f"nodeCount = {len(nodes)}", "domainDecomposition ="]
    lines += ["nodalData =", "# node, x, y, z, arms, constraint; arm, b, plane"]
    for number, place in enumerate(nodes):
        x, y, z = (place / unit + half) % (2.0 * half) - half
        mine = [(j, b, n) for i, j, b, n in arms if i == number]
        mine += [(i, -b, n) for i, j, b, n in arms if j == number]
        lines.append(f"0,{number} {x:.2f} {y:.2f} {z:.2f} {len(mine)} 0")
        for other, b, normal in mine:
            vectors = " ".join(f"{component:.8f}" for component in (*b, *normal))
            lines.append(f" 0,{other} {vectors}")
    return "\n".join(lines) + "\n"


def main(folder: str = "networks") -> None:
    """Write the file, simulate and draw."""
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    (place / "network.data").write_text(paradis(*network()))
    program = [sys.executable, "-m", "weakbeam"]
    shown = [*program, "show", "network.data", "--burgers-length", str(B_NM), "-o", "."]
    subprocess.run(shown, check=True, cwd=place)
    for name, (axis, span) in SCANS.items():
        text = EXPERIMENT.format(axis=axis, range=span)
        (place / f"{name}.toml").write_text(text.lstrip())
        run = [*program, "forward", "-c", f"{name}.toml", "-o", name, "--overwrite", "--quiet"]
        subprocess.run(run, check=True, cwd=place)
        movie = [*program, "show", f"{name}/weakbeam.h5", "--movie", "gif", "--fps", "8"]
        movie += ["--common-range"] if name == "sections" else []
        subprocess.run([*movie, "-o", name], check=True, cwd=place)
        (place / name / "movie.gif").replace(place / f"network-{name}.gif")
    print(f"{folder}: a network, a scan of φ through it and its sections")


if __name__ == "__main__":
    main(*sys.argv[1:])
