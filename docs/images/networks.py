"""Make the pictures of networks: python docs/images/networks.py, in the root of a clone.

They are those of examples/networks.py, made small.
"""

import sys
from pathlib import Path
from subprocess import run
from tempfile import TemporaryDirectory

from make import save_small
from PIL import Image, ImageSequence

WIDTH, COLORS, EVERY = 300, 32, 2


def main() -> None:
    """Run the example, and save its figure and movies."""
    here = Path(__file__).parent
    with TemporaryDirectory() as temporary:
        example = here.parents[1] / "examples/networks.py"
        run([sys.executable, example, temporary], check=True)
        folder = Path(temporary)
        save_small(folder / "network.png", here / "network.png")
        for name in ("network-phi.gif", "network-sections.gif"):
            shrink(folder / name, here / name)


def shrink(movie: Path, picture: Path) -> None:
    """Save a movie in fewer frames, pixels and colours."""
    with Image.open(movie) as opened:
        duration = EVERY * opened.info["duration"]
        frames = []
        for number, frame in enumerate(ImageSequence.Iterator(opened)):
            if number % EVERY:
                continue
            small = frame.convert("RGB")
            small.thumbnail((WIDTH, 10 * WIDTH), Image.Resampling.LANCZOS)
            frames.append(small.quantize(COLORS, dither=Image.Dither.NONE))
    frames[0].save(
        picture, save_all=True, append_images=frames[1:], duration=duration, loop=0, optimize=True
    )


if __name__ == "__main__":
    main()
