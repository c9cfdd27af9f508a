"""Make the pictures of docs/how-to/live.md: python docs/images/live.py, in the root of a clone.

Needs Debian's chromium and chromium-driver, selenium and the extra ``live``.
"""

import shutil
import tempfile
import time
from io import BytesIO
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

import weakbeam as wb
from weakbeam.viewer.live import live

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)
HERE = Path(__file__).parent
WEAK = wb.Experiment(
    beam={"height_fwhm_um": 0.6}, camera={"pixels": (110, 330)}, scan={"phi": {"value_mrad": 0.15}}
)
WIDTH = 900
FRAME_MS = 160


def main() -> None:
    """Open the page, turn φ, drag the dislocation, and keep what is seen."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    with tempfile.TemporaryDirectory() as profile, live(WEAK) as microscope:
        for flag in (*FLAGS.split(), f"--user-data-dir={profile}"):
            options.add_argument(flag)
        page = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            page.set_window_size(1300, 860)
            page.get(microscope.url)
            page.execute_script(
                "document.documentElement.dataset.theme === 'dark' && theme.click()"
            )
            settle(page, 2.5)
            picture(page).save(HERE / "live.png", optimize=True)
            frames = [*turning(page), *dragging(page)]
            frames[0].save(
                HERE / "live.gif",
                save_all=True,
                append_images=frames[1:],
                duration=FRAME_MS,
                loop=0,
            )
            page.execute_script(
                "for (const [id, value] of [['rule', 'phi'], ['view', 'all']]) {"
                "const e = document.getElementById(id); e.value = value;"
                "e.dispatchEvent(new Event('change')); }"
            )
            settle(page, 2.5)
            picture(page).save(HERE / "live-two.png", optimize=True)
        finally:
            page.quit()


def turning(page):
    """φ turns through the peak."""
    for phi in [0.2, 0.17, 0.15, 0.13, 0.11, 0.06, 0.0, -0.06, -0.11, -0.13, -0.15, -0.17, 0.15]:
        page.execute_script(
            "const e = document.getElementById('motor-phi'); e.value = arguments[0];"
            "e.dispatchEvent(new Event('input'));",
            phi,
        )
        settle(page, 0.3)
        yield small(picture(page))


def dragging(page):
    """The dislocation is dragged across the picture."""
    for step in range(9):
        page.execute_script(
            "weakbeam.link.send({do: 'place', side: 'A', number: 0, to: arguments[0], gesture: 5})",
            [54.5 - 3 * step, 164.5 + 11 * step],
        )
        settle(page, 0.3)
        yield small(picture(page))


def settle(page, seconds: float) -> None:
    """Wait, and until everything that was asked for has been answered."""
    time.sleep(seconds)
    while page.execute_script("return weakbeam.link.sent.size + weakbeam.rough.length"):
        time.sleep(0.05)


def picture(page) -> Image.Image:
    """What the window shows."""
    return Image.open(BytesIO(page.get_screenshot_as_png())).convert("RGB")


def small(image: Image.Image) -> Image.Image:
    """A frame of the animation."""
    size = WIDTH * 3 // 4, round(image.height * WIDTH * 3 / 4 / image.width)
    return image.resize(size, Image.Resampling.LANCZOS).quantize(96)


if __name__ == "__main__":
    main()
