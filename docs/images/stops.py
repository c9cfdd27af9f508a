"""Make the pictures of the stops: python docs/images/stops.py, in the root of a clone.

One edge dislocation under every kind of stop, at four settings of φ, as a grid of images; and the
acceptance under a wire.
"""

from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from make import save_small
from matplotlib import colormaps
from matplotlib.colors import Normalize
from PIL import Image

import weakbeam as wb
from weakbeam.assemble import assemble
from weakbeam.plot.style import FAINT, INTENSITY_MAP, add_axes, add_text, paper, save
from weakbeam.run.acceptance_figures import acceptance

STOPS = {
    "no stop": [],
    "square aperture, 25 µm": ['kind = "square_aperture"', "size_um = 25"],
    "round aperture, 25 µm": ['kind = "round_aperture"', "diameter_um = 25"],
    "knife edge on the axis": ['kind = "knife_edge"', "position_um = 0"],
    "central stop, 25 µm": ['kind = "central_stop"', "size_um = 25"],
    "tungsten wire, 25 µm": ['kind = "wire"', "diameter_um = 25"],
}

PHI_MRAD = [0.0, 0.10, 0.14, 0.16]

EXPERIMENT = f"""
[beam]
height_fwhm_um = 0.6
[camera]
pixels = [84, 250]
[scan.phi]
values_mrad = {PHI_MRAD}
"""

SIDE, GAP, LEFT, TOP = 40.0, 6.0, 7.0, 7.0
WIDTH = 800


def main() -> None:
    """Simulate, draw and save."""
    here = Path(__file__).parent
    draw_grid(here / "stops.png")
    wire = wb.Experiment().with_settings(["objective.stop={kind='wire', diameter_um=50}"])
    with TemporaryDirectory() as folder:
        figure = Path(folder) / "acceptance.png"
        save(acceptance(assemble(wire), np.zeros(3)), figure)
        save_small(figure, here / "acceptance-wire.png")


def draw_grid(picture: Path) -> None:
    """Save the grid of images."""
    rows, columns = len(STOPS), len(PHI_MRAD)
    height = TOP + rows * (SIDE + GAP)
    with paper(LEFT + columns * (SIDE + 3.0), height) as figure:
        for row, (name, keys) in enumerate(STOPS.items()):
            bottom = height - TOP - SIDE - row * (SIDE + GAP)
            add_text(figure, 2.0, bottom, name, size=8, rotation="vertical")
            for column, frame in enumerate(frames(keys)):
                left = LEFT + column * (SIDE + 3.0)
                if row == 0:
                    phi = f"φ = {PHI_MRAD[column]:.2f} mrad"
                    add_text(figure, left, height - TOP + 2.0, phi, size=8)
                axes = add_axes(figure, left, bottom, SIDE, SIDE)
                axes.set_axis_off()
                # From zero, unless all of the picture is bright.
                low, high = np.percentile(frame, [0.1, 99.8])
                low = low if low > 0.5 * high else 0.0
                norm = Normalize(low, high)
                axes.imshow(frame, norm=norm, cmap=INTENSITY_MAP, aspect="auto", origin="lower")
                scale = f"{low:.2g} to {high:.2g}"
                add_text(figure, left, bottom - 3.2, scale, size=6.5, color=FAINT)
        memory = BytesIO()
        figure.savefig(memory, format="png")
    with Image.open(memory) as image:
        page = image.convert("RGB")
    page.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
    page = page.quantize(palette=palette(), dither=Image.Dither.NONE)
    page.save(picture, optimize=True)


def palette() -> Image.Image:
    """All colours of the picture: those of the images, and greys for the letters."""
    intensities = colormaps[INTENSITY_MAP](np.linspace(0.0, 1.0, 232))[:, :3]
    greys = np.repeat(np.linspace(0.0, 1.0, 24)[:, None], 3, axis=1)
    image = Image.new("P", (1, 1))
    image.putpalette(np.rint(255.0 * np.vstack([intensities, greys])).astype(int).ravel().tolist())
    return image


def frames(keys: list[str]) -> np.ndarray:
    """Images of the experiment under a stop, one per setting of φ."""
    stop = "\n".join(["[objective.stop]", *keys]) if keys else ""
    return np.asarray(wb.simulate(wb.Experiment.from_toml_text(EXPERIMENT + stop)).images.values)


if __name__ == "__main__":
    main()
