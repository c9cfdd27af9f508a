"""Make the reference images that are kept beside the tests: python tests/reference/make_images.py

They are the independent renderer's, not the program's; they change only where their parameters do.
"""

import json
from pathlib import Path

import numpy as np
import renderer
from reference_cases import KEPT

FOLDER = Path(__file__).parent / "images"


def rendered(parameters):
    """The image of the parameters, single precision."""
    draw = renderer.oblique_image if parameters.get("oblique") else renderer.image
    return draw(parameters).astype(np.float32)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, parameters in KEPT.items():
        text = json.dumps(parameters, indent=1)
        (FOLDER / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")
        np.savez_compressed(FOLDER / f"{name}.npz", image=rendered(parameters))
