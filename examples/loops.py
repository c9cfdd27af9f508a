"""Loops and a bowed line in the weak beam, on both sides of the peak.

python examples/loops.py [PICTURE]

Each panel is an image; the coloured lines are the dislocations, where the image shows them.
"""

import sys

import numpy as np

import weakbeam as wb
from weakbeam.assemble import assemble
from weakbeam.plot.image import intensity_norm
from weakbeam.plot.style import COLORS, INTENSITY_MAP, add_axes, new_figure, save, style
from weakbeam.plot.view import View

SCENE = """
[beam]
height_fwhm_um = 1.2

[camera]
pixels = [84, 250]
pixel_nm = 40

[scan.phi]
values_mrad = [-0.15, 0.15]

[[defects]]
"""

DEFECTS = {
    "glide loop": """
kind = "loop"
plane = [-1, 1, -1]
burgers = [1, 0, -1]
radius_um = 2
""",
    "loop of vacancies": """
kind = "loop"
plane = [-1, 1, -1]
burgers = [-1, 1, -1]
burgers_fraction = "1/3"
partial = true
radius_um = 2
""",
    "loop of interstitials": """
kind = "loop"
plane = [-1, 1, -1]
burgers = [1, -1, 1]
burgers_fraction = "1/3"
partial = true
radius_um = 2
""",
    "line bowed out": """
kind = "polyline"
burgers = [1, 0, -1]
points_um = [[-2.5, 0, 0], [-2, 1, 0], [-1, 1.8, 0], [0, 2, 0], [1, 1.8, 0], [2, 1, 0], [2.5, 0, 0]]
ends = "straight"
""",
}

PANEL, LEFT, BOTTOM, GAP, TOP = 40.0, 14.0, 12.0, 4.0, 9.0


def main(picture: str = "loops.png") -> None:
    """Simulate two images of each and draw them with the dislocations."""
    runs = {name: wb.Experiment.from_toml_text(SCENE + text) for name, text in DEFECTS.items()}
    images = {name: wb.simulate(experiment).images for name, experiment in runs.items()}
    norm = intensity_norm(np.stack([image.values for image in images.values()]), "linear")
    height = BOTTOM + 2 * PANEL + GAP + TOP
    with style():
        figure = new_figure(LEFT + len(runs) * (PANEL + GAP) + 16.0, height)
        for column, (name, experiment) in enumerate(runs.items()):
            left = LEFT + column * (PANEL + GAP)
            y, x = lines_of(experiment)
            shown = images[name]
            for row, phi in enumerate((-0.15, 0.15)):
                axes = add_axes(
                    figure, left, height - TOP - PANEL - row * (PANEL + GAP), PANEL, PANEL
                )
                view = View(shown.coords["x"], shown.coords["y"])
                drawn = view.draw(axes, shown.values[row], norm, INTENSITY_MAP)
                limits = axes.get_xlim(), axes.get_ylim()
                axes.plot(y, x, color="white", linewidth=1.6, alpha=0.6)
                axes.plot(y, x, color=COLORS[column], linewidth=0.8)
                axes.set(xlim=limits[0], ylim=limits[1])
                axes.tick_params(labelleft=column == 0, labelbottom=row == 1)
                if column:
                    axes.set_ylabel("")
                if row == 0:
                    axes.set_title(name)
                    axes.set_xlabel("")
                sign = f"φ = {phi:+.2f} mrad".replace("-", "−")
                axes.text(0.04, 0.05, sign, color="white", transform=axes.transAxes, size=6)
        right = LEFT + len(runs) * (PANEL + GAP) - GAP
        bar = figure.colorbar(
            drawn, cax=add_axes(figure, right + 3.0, BOTTOM, 3.0, 2 * PANEL + GAP)
        )
        bar.set_label("intensity / perfect crystal at peak")
        save(figure, picture)
    print(f"{picture}: {len(runs)} curved dislocations at φ = ±0.15 mrad")


def lines_of(experiment: wb.Experiment) -> tuple[np.ndarray, np.ndarray]:
    """Where the image shows the dislocation: y and x of its corners, along the diffracted beam."""
    setup = assemble(experiment)
    (placed,) = setup.defects.placed
    segments = placed.sources.segments
    closed = np.isfinite(segments.lengths).all()
    ends = segments.starts + np.minimum(segments.lengths, 30.0)[:, None] * segments.directions
    corners = np.vstack([ends[-2:-1], segments.starts[:-2], segments.starts[-1:], ends[-1:]])
    if closed:
        corners = np.vstack([segments.starts, segments.starts[:1]])
    x, y, z = setup.geometry.lab_from_sample @ corners.T
    return y, x - z / np.tan(2.0 * setup.geometry.theta)


if __name__ == "__main__":
    main(*sys.argv[1:])
