"""Make the pictures of the documentation: python docs/images/make.py, in the root of a clone.

They are figures that every run has, made small. The program must be installed and on the path.
"""

import re
import sys
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory

from PIL import Image

PICTURES = {
    "first-image.png": ("default", "image"),
    "weak-beam.png": ("weak-beam", "image"),
    "rocking-curve.png": ("rocking", "rocking"),
    "mosaicity-maps.png": ("mosaicity", "maps"),
}

PAIR = (
    "camera.pixels=[48,96]",
    "camera.pixel_nm=100",
    "beam.height_fwhm_um=0.6",
    "scan.phi.values_mrad=[0.15,-0.15]",
)
OF_PAIR = (
    "defects=[{plane=[1,1,1], burgers=[1,-1,0], character_deg=60, position_um=[0.5,-0.8,0]}]",
    "camera.model=pco_edge",
)

SETUP = ("beam.height_fwhm_um=0.6", "scan.phi.value_mrad=0.15")
SMALL_CAMERA = ("camera.pixels=[85,255]", "camera.model=pco_edge")
DISLOCATION = (
    "defects=[{plane=[1,1,-1], burgers=[1,0,1], character_deg=37, position_um=[0.31,-0.42,0]}]"
)

WIDTH = 1080


def main() -> None:
    """Simulate the templates that the pictures show, and save the pictures."""
    here = Path(__file__).parent
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        run(["weakbeam", "init", "--dest", folder], check=True)
        for picture, (template, figure) in PICTURES.items():
            output = folder / template
            run(["weakbeam", "forward", "-c", f"{output}.toml", "-o", output], check=True)
            save_small(output / f"figures/{figure}.png", here / picture)
        run(["weakbeam", "bootstrap", "-o", folder / "kernel.h5"], check=True)
        run(["weakbeam", "show", folder / "kernel.h5"], check=True)
        for name in ("five-edges", "wall-series", "anisotropy", "loops", "crystal-plasticity"):
            example, name = f"{name}.png", f"{name.replace('-', '_')}.py"
            run([sys.executable, here.parents[1] / "examples" / name, folder / example], check=True)
            save_small(folder / example, here / example)
        for figure in ("kernel", "rays"):
            save_small(folder / f"figures/{figure}.png", here / f"{figure}.png")
        identification(folder, here)
        distortion(folder, here)


def identification(folder: Path, here: Path) -> None:
    """Identify the dislocation of the tutorial, and correlate the images of all types."""
    setup, small = flags(SETUP), flags(SETUP, SMALL_CAMERA)
    measured, library, match, study = (
        folder / n for n in ("measured", "library", "match", "study")
    )
    run(["weakbeam", "forward", *small, "--set", DISLOCATION, "-o", measured], check=True)
    run(["weakbeam", "identify", "generate", *small, "-o", library], check=True)
    image = ["weakbeam", "identify", "match", measured / "weakbeam.h5"]
    run([*image, "--library", library, "-o", match], check=True)
    save_small(match / "match.png", here / "identified.png")
    pair, candidates, both = (folder / n for n in ("pair", "candidates", "both"))
    run(["weakbeam", "forward", *flags(PAIR, OF_PAIR), "-o", pair], check=True)
    step = ("identify.character_step_deg=30",)
    run(["weakbeam", "identify", "generate", *flags(PAIR, step), "-o", candidates], check=True)
    image = ["weakbeam", "identify", "match", pair / "weakbeam.h5"]
    run([*image, "--library", candidates, "-o", both], check=True)
    save_small(both / "match.png", here / "match.png")
    run(["weakbeam", "identify", "study", *setup, "-o", study], check=True)
    save_small(study / "correlations.png", here / "identify-correlations.png", 720)


def distortion(folder: Path, here: Path) -> None:
    """Follow the tutorial of the distortion, whose files stand on its page."""
    page = (here.parent / "tutorials/distortion.md").read_text()
    blocks = re.findall(r'```toml title="([^"]*)"(?: after="([^"]*)")?\n(.*?)```', page, re.S)
    texts: dict[str, str] = {}
    for name, after, text in blocks:
        texts[name] = texts.get(after, "") + text
        (folder / name).write_text(texts[name])
    runs = []
    for name in ("phi-rocks", "chi-rocks"):
        runs.append(folder / name / "weakbeam.h5")
        run(["weakbeam", "forward", "-c", folder / f"{name}.toml", "-o", folder / name], check=True)
    run(["weakbeam", "distortion", *runs, "-o", folder / "tensor"], check=True)
    save_small(folder / "tensor/components.png", here / "distortion.png", 900)


def flags(*several: tuple[str, ...]) -> list[str]:
    """Settings as the command line takes them."""
    return [word for settings in several for setting in settings for word in ("--set", setting)]


def save_small(figure: Path, picture: Path, width: int = WIDTH) -> None:
    """Save a figure as a picture of the documentation."""
    with Image.open(figure) as image:
        small(image.convert("RGB"), width).save(picture, optimize=True)


def small(image: Image.Image, width: int = WIDTH) -> Image.Image:
    """Return a picture no wider than a page, in 256 colours that are mixed dot by dot."""
    image.thumbnail((width, width), Image.Resampling.LANCZOS)
    colors = image.quantize(256, method=Image.Quantize.MAXCOVERAGE)
    return image.quantize(palette=colors, dither=Image.Dither.FLOYDSTEINBERG)


if __name__ == "__main__":
    main()
