"""Walls of five edge dislocations: centre-of-mass maps beside the deformation that makes them.

python examples/wall_series.py [PICTURE]

For every spacing a mosaicity scan is simulated. The centre of mass of each pixel is compared with
what q predicts (docs/explanation/physics.md, E6): q in the plane z = 0, and q averaged over the
height of the beam.
"""

import sys
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import Normalize

import weakbeam as wb
from weakbeam.analysis.agreement import compare_maps
from weakbeam.assemble import assemble
from weakbeam.plot.style import (
    DIVERGING_MAP,
    add_axes,
    add_text,
    new_figure,
    save,
    style,
)
from weakbeam.plot.view import View
from weakbeam.run.acquisition import Acquisition
from weakbeam.run.frames import predicted_centers

SPACINGS_UM = [0.25, 0.5, 1.0, 2.0, 4.0]

EXPERIMENT = """
[[defects]]
kind = "wall"
plane = [1, 1, 1]
burgers = [1, 0, -1]
line = [1, -2, 1]
spacing_um = 1.0
count = 5

[camera]
pixels = [84, 254]            # even numbers: no pixel looks at a core
pixel_nm = 80

[scan.phi]
half_range_mrad = 0.5
steps = 101                 # fine steps: the rocking curve has steep sides
[scan.chi]
half_range_mrad = 2.0
steps = 21
"""

SYMBOLS = {"phi": "φ", "chi": "χ"}
PANEL, LEFT, BOTTOM, GAP = 32.0, 17.0, 9.0, 2.5


@dataclass(frozen=True)
class Wall:
    """Minus the centre of mass, and what the deformation predicts for it, in mrad, by motor."""

    measured: dict[str, np.ndarray]
    in_plane: dict[str, np.ndarray]
    averaged: dict[str, np.ndarray]
    x: np.ndarray
    y: np.ndarray


def main(picture: str = "wall-series.png") -> None:
    """Simulate the walls, print how well the maps agree, and draw them."""
    print("spacing   motor   q at z = 0           q of the whole ray")
    print("  um              r      rms (urad)    r      rms (urad)")
    walls = []
    for spacing in SPACINGS_UM:
        wall = simulate(spacing)
        walls.append(wall)
        for motor, measured in wall.measured.items():
            numbers = [compare_maps(measured, q[motor]) for q in (wall.in_plane, wall.averaged)]
            cells = "    ".join(f"{n.correlation:6.4f}  {1e3 * n.rms:6.2f}" for n in numbers)
            print(f"{spacing:5.2f}     {motor}     {cells}")
    draw(walls, picture)


def simulate(spacing_um: float) -> Wall:
    """Maps of a wall of the given spacing."""
    experiment = wb.Experiment.from_toml_text(EXPERIMENT).with_settings(
        [f"defects[0].spacing_um={spacing_um}"]
    )
    run = wb.simulate(experiment)
    center = wb.center_of_mass(run)
    setup = assemble(experiment)
    acquisition = Acquisition(setup, setup.scans[0])
    # One sample of the beam's height stands at its middle.
    plane = wb.q_field(experiment.with_settings(["camera.depth_samples=1"])).values
    predicted = [predicted_centers(acquisition, q) for q in (plane, wb.q_field(experiment).values)]
    return Wall(
        {motor: -1e3 * getattr(center, motor) for motor in SYMBOLS},
        *({motor: -1e3 * maps[motor] for motor in SYMBOLS} for maps in predicted),
        x=run.images.coords["x"],
        y=run.images.coords["y"],
    )


def draw(walls: list[Wall], picture: str) -> None:
    """Draw a column of maps for every wall."""
    rows = [
        (f"−COM {SYMBOLS[motor]}" if kind == "measured" else f"{SYMBOLS[motor]} from q at z = 0",
         motor, kind)
        for motor in SYMBOLS
        for kind in ("measured", "in_plane")
    ]  # fmt: skip
    limits = {
        motor: max(float(np.percentile(np.abs(wall.measured[motor]), 99.7)) for wall in walls)
        for motor in SYMBOLS
    }
    width = LEFT + len(walls) * (PANEL + GAP) + 16.0
    height = BOTTOM + len(rows) * (PANEL + GAP) + 5.0
    with style():
        figure = new_figure(width, height)
        for column, (wall, spacing) in enumerate(zip(walls, SPACINGS_UM, strict=True)):
            left = LEFT + column * (PANEL + GAP)
            add_text(figure, left, height - 5.0, f"spacing {spacing:g} µm", size=8)
            for row, (name, motor, kind) in enumerate(rows):
                bottom = height - 7.0 - (row + 1) * PANEL - row * GAP
                axes = add_axes(figure, left, bottom, PANEL, PANEL)
                limit = limits[motor]
                norm = Normalize(-limit, limit)
                view = View(wall.x, wall.y)
                drawn = view.draw(axes, getattr(wall, kind)[motor], norm, DIVERGING_MAP)
                axes.set(aspect="auto", xticks=[-5, 0, 5], yticks=[-5, 0, 5])
                axes.set_ylabel(f"{name}\n← x (µm)" if column == 0 else "")
                axes.set_xlabel("y (µm)" if row == len(rows) - 1 else "")
                axes.tick_params(labelleft=column == 0, labelbottom=row == len(rows) - 1)
                if column == len(walls) - 1:
                    bar_axes = add_axes(figure, left + PANEL + 2.0, bottom, 2.5, PANEL)
                    bar = figure.colorbar(drawn, cax=bar_axes, extend="both", extendfrac=0.03)
                    bar.set_label(f"{SYMBOLS[motor]} (mrad)")
        save(figure, picture)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main(*sys.argv[1:])
