"""Five edge dislocations, drawn at random, in the weak beam on both sides of the peak.

python examples/five_edges.py [PICTURE]

The coloured lines are the parts of the dislocations in the illuminated layer, seen from above.
"""

import sys

import numpy as np

import weakbeam as wb
from weakbeam.assemble import assemble
from weakbeam.defects.regions import ends_inside
from weakbeam.plot.image import intensity_norm
from weakbeam.plot.style import (
    COLORS,
    FAINT,
    INTENSITY_MAP,
    add_axes,
    add_text,
    new_figure,
    save,
    style,
)
from weakbeam.plot.view import View
from weakbeam.run.defects_figure import defects_drawing

EXPERIMENT = """
[[defects]]
kind = "random"
count = 5
character_deg = 0           # pure edges
sigma_um = 5.0
minimum_distance_um = 5.0
seed = 11

[beam]
height_fwhm_um = 0.6

[scan.phi]
values_mrad = [-0.15, 0.15]
"""

PANEL, LEFT, BOTTOM, GAP = 78.0, 12.0, 20.0, 6.0


def main(picture: str = "five-edges.png") -> None:
    """Simulate two images and draw them with the dislocations."""
    experiment = wb.Experiment.from_toml_text(EXPERIMENT)
    images = wb.simulate(experiment).images
    setup = assemble(experiment)
    drawing = defects_drawing(setup, 0.0)
    assert drawing is not None
    positions, lines, low, high = drawing.arguments
    kinds, labels = drawing.options["kinds"], drawing.options["labels"]
    enter, leave = ends_inside(positions, lines, low, high)
    ends = positions[:, None] + np.stack([enter, leave], axis=1)[:, :, None] * lines[:, None]
    x, y = images.coords["x"], images.coords["y"]
    norm = intensity_norm(images.values, "linear")
    with style():
        figure = new_figure(LEFT + 2 * PANEL + GAP + 18.0, BOTTOM + PANEL + 7.0)
        for k, (frame, phi) in enumerate(zip(images.values, (-0.15, 0.15), strict=True)):
            axes = add_axes(figure, LEFT + k * (PANEL + GAP), BOTTOM, PANEL, PANEL)
            drawn = View(x, y).draw(axes, frame, norm, INTENSITY_MAP)
            axes.set_title(f"φ = {phi:.2f} mrad".replace("-", "−"))
            limits = axes.get_xlim(), axes.get_ylim()
            for number, line in enumerate(ends):
                color = COLORS[np.unique(kinds).tolist().index(kinds[number]) % len(COLORS)]
                axes.plot(line[:, 1], line[:, 0], color="white", linewidth=2.2)
                axes.plot(line[:, 1], line[:, 0], color=color, linewidth=1.2)
            axes.set(xlim=limits[0], ylim=limits[1])
            if k:
                axes.set_ylabel("")
                axes.tick_params(labelleft=False)
        bar = figure.colorbar(
            drawn, cax=add_axes(figure, LEFT + 2 * PANEL + GAP + 2.0, BOTTOM, 3.0, PANEL)
        )
        bar.set_label("intensity / perfect crystal at peak")
        for k, kind in enumerate(np.unique(kinds)):
            left = LEFT + 32.0 * k
            add_text(figure, left, 4.0, "━", color=COLORS[k % len(COLORS)], size=9)
            add_text(figure, left + 5.0, 4.0, f"{labels[kind]}", color=FAINT, size=7)
        save(figure, picture)
    print(f"{picture}: {len(positions)} edge dislocations at φ = ±0.15 mrad")


if __name__ == "__main__":
    main(*sys.argv[1:])
