"""One dislocation in isotropic and anisotropic crystals: when the difference matters.

python examples/anisotropy.py [PICTURE]

A 60° dislocation in aluminium, copper, iron and tungsten in the weak beam: once with the Poisson
ratio of the averaged elastic constants, once with all of them, and the difference. Printed are how
far apart the two deformations are, which does not depend on the distance from the line, and the two
images.
"""

import sys
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize

import weakbeam as wb
from weakbeam.assemble.crystal import crystal_of
from weakbeam.crystal.elasticity import AnisotropicMedium, IsotropicMedium
from weakbeam.crystal.materials import material
from weakbeam.defects.field import evaluate
from weakbeam.defects.field_of import field_of
from weakbeam.defects.lines import StraightLines
from weakbeam.plot.style import (
    DIVERGING_MAP,
    INTENSITY_MAP,
    add_axes,
    add_text,
    new_figure,
    save,
    style,
)
from weakbeam.plot.view import View

CUBIC = {
    "face": {"hkl": [-1, 1, -1], "x_axis": [1, 0, -1], "plane": [1, 1, 1], "burgers": [0, 1, -1]},
    "body": {"hkl": [1, 1, 0], "x_axis": [1, -1, 0], "plane": [1, 0, -1], "burgers": [1, 1, 1]},
}
CRYSTALS = {"Al": "face", "Cu": "face", "Fe": "body", "W": "body"}

EXPERIMENT = """
[crystal]
material = "{name}"
elasticity = "{elasticity}"
poisson_ratio = {poisson_ratio}
x_axis = {x_axis}

[reflection]
hkl = {hkl}

[[defects]]
plane = {plane}
burgers = {burgers}
angle_deg = 60

[camera]
pixels = [60, 160]            # even numbers: no pixel looks at the core
pixel_nm = 40

[scan.phi]
value_mrad = 0.14             # off the peak: what is turned lights up
"""

PANEL_WIDTH, PANEL_HEIGHT, LEFT, BOTTOM, GAP = 40.0, 40.0, 17.0, 10.0, 3.0


@dataclass(frozen=True)
class Pair:
    """Images of both kinds and where their pixels are."""

    isotropic: np.ndarray
    anisotropic: np.ndarray
    x: np.ndarray
    y: np.ndarray


def main(picture: str = "anisotropy.png") -> None:
    """Simulate both images of each crystal, print how far apart they are, and draw them."""
    print("crystal   Zener ratio   deformation (median)   image (rms)   image (largest)")
    pairs = {}
    for name in CRYSTALS:
        pairs[name] = pair = images(name)
        change = pair.anisotropic - pair.isotropic
        rms = np.linalg.norm(change) / np.linalg.norm(pair.isotropic)
        largest = np.abs(change).max() / pair.isotropic.max()
        zener = AnisotropicMedium(material(name).stiffness_matrix).zener_ratio
        print(
            f"{name:8s}  {zener:11.2f}   {100 * deformation_change(name):17.1f} %   "
            f"{100 * rms:9.1f} %   {100 * largest:13.1f} %"
        )
    draw(pairs, picture)


def described(name: str, elasticity: str) -> wb.Experiment:
    """The experiment; both kinds have the averages of the same constants."""
    mean = AnisotropicMedium(material(name).stiffness_matrix).averages
    return wb.Experiment.from_toml_text(
        EXPERIMENT.format(
            name=name,
            elasticity=elasticity,
            poisson_ratio=round(mean.poisson_ratio, 6),
            **CUBIC[CRYSTALS[name]],
        )
    )


def images(name: str) -> Pair:
    """The isotropic and the anisotropic image."""
    runs = [wb.simulate(described(name, kind)) for kind in ("isotropic", "anisotropic")]
    coords = runs[0].images.coords
    return Pair(*(run.images.values for run in runs), x=coords["x"], y=coords["y"])


def deformation_change(name: str) -> float:
    """Median of |Δβ| / |β| around the line."""
    from weakbeam.assemble import assemble

    setup = assemble(described(name, "anisotropic"))
    lines = setup.defects.lines
    sharp = StraightLines(lines.burgers_vectors, lines.lines, lines.positions, 0.0)
    ((x, y, _),) = sharp.axes
    angle = 2 * np.pi * np.arange(720)[:, None] / 720
    ring = sharp.positions[0] + np.cos(angle) * x + np.sin(angle) * y
    own = setup.crystal.medium.turned(setup.sample_from_crystal)
    mean = IsotropicMedium(crystal_of(described(name, "isotropic")).poisson_ratio)
    first, second = (evaluate(field_of(sharp, medium), ring) for medium in (own, mean))
    sizes = [np.linalg.norm(beta, axis=(1, 2)) for beta in (first - second, first)]
    return float(np.median(sizes[0] / sizes[1]))


def draw(pairs: dict[str, Pair], picture: str) -> None:
    """Draw a column of two images and their difference for every crystal."""
    rows = ("isotropic", "anisotropic", "difference")
    limit = max(np.abs(p.anisotropic - p.isotropic).max() for p in pairs.values())
    brightest = max(max(p.isotropic.max(), p.anisotropic.max()) for p in pairs.values())
    width = LEFT + len(pairs) * (PANEL_WIDTH + GAP) + 16.0
    height = BOTTOM + len(rows) * (PANEL_HEIGHT + GAP) + 5.0
    with style():
        figure = new_figure(width, height)
        for column, (name, pair) in enumerate(pairs.items()):
            left = LEFT + column * (PANEL_WIDTH + GAP)
            hkl = " ".join(str(index) for index in CUBIC[CRYSTALS[name]]["hkl"])
            title = f"{name}, reflection {hkl}".replace("-", "−")
            add_text(figure, left, height - 5.0, title, size=8)
            shown = (pair.isotropic, pair.anisotropic, pair.anisotropic - pair.isotropic)
            for row, (kind, values) in enumerate(zip(rows, shown, strict=True)):
                bottom = height - 7.0 - (row + 1) * PANEL_HEIGHT - row * GAP
                axes = add_axes(figure, left, bottom, PANEL_WIDTH, PANEL_HEIGHT)
                norm = Normalize(-limit, limit) if row == 2 else Normalize(0.0, brightest)
                color_map = DIVERGING_MAP if row == 2 else INTENSITY_MAP
                drawn = View(pair.x, pair.y).draw(axes, values, norm, color_map)
                # Pixels are longer along x in one crystal than in the other: the same cut of all.
                axes.set(xlim=(-3, 3), ylim=(3, -3), xticks=[-2, 0, 2], yticks=[-2, 0, 2])
                axes.set_ylabel(f"{kind}\n← x (µm)" if column == 0 else "")
                axes.set_xlabel("y (µm)" if row == len(rows) - 1 else "")
                axes.tick_params(labelleft=column == 0, labelbottom=row == len(rows) - 1)
                if column == len(pairs) - 1:
                    bar_axes = add_axes(figure, left + PANEL_WIDTH + 2.0, bottom, 2.5, PANEL_HEIGHT)
                    bar = figure.colorbar(drawn, cax=bar_axes)
                    bar.set_label("change" if row == 2 else "intensity / peak")
        save(figure, picture)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
