"""The colours of the figures, as the page of the microscope has them.

``python -m weakbeam.plot.page_colors > src/weakbeam/viewer/page/colours.js`` writes its file.
"""

from __future__ import annotations

import base64

import numpy as np

from weakbeam.plot.style import DIVERGING_MAP, INTENSITY_MAP, NAN_COLOR

__all__ = ["MAPS", "page_colors"]

MAPS = (INTENSITY_MAP, "gray", "viridis", "cividis", DIVERGING_MAP, "PuOr_r")
"""Maps of the page; cividis and PuOr are told apart with any common colour-vision deficiency."""


def page_colors() -> str:
    """The file of the page: 256 colours of each map, three bytes each, in base 64."""
    from matplotlib import colormaps

    lines = []
    for name in MAPS:
        colors = colormaps[name](np.linspace(0.0, 1.0, 256), bytes=True)[:, :3]
        lines.append(f'  {name}: "{base64.b64encode(colors.tobytes()).decode()}",')
    grey = round(255 * float(NAN_COLOR))
    return (
        "// Made by python -m weakbeam.plot.page_colors.\n"
        f'export const INTENSITY = "{INTENSITY_MAP}";\n'
        f'export const DIVERGING = "{DIVERGING_MAP}";\n'
        f"export const UNKNOWN = {grey};\n"
        "const PACKED = {\n" + "\n".join(lines) + "\n};\n"
        "export const MAPS = Object.fromEntries(Object.entries(PACKED).map(([name, text]) =>\n"
        "  [name, Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]));\n"
    )


if __name__ == "__main__":
    import sys

    sys.stdout.write(page_colors())
