"""A real browser, and what a person does at a page in it."""

import shutil
import tempfile
from contextlib import contextmanager

import numpy as np
import pytest

pytest.importorskip("websockets")
webdriver = pytest.importorskip("selenium.webdriver")
from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

import weakbeam as wb  # noqa: E402

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
IN_A_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromedriver"),
]
FLAGS = str.split(
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync "
    "--disable-dev-shm-usage"
)


@contextmanager
def a_browser():
    options = Options()
    options.binary_location = BROWSER
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
        driver.set_window_size(1440, 1000)
        try:
            yield driver
        finally:
            driver.quit()


def mistakes_of(driver):
    """What the page complained about, but for connections that were ended."""
    lines = [line for line in driver.get_log("browser") if line["level"] == "SEVERE"]
    return [line for line in lines if "WebSocket" not in line["message"]]


def upright(experiment):
    """Its one image as it is drawn: y to the right, x down the page."""
    images = wb.simulate(experiment).images
    rows, columns = (np.argsort(images.coords[name]) for name in ("x", "y"))
    return images.values[np.ix_(rows, columns)]


def assert_shows(page, experiment, view="A"):
    """The image of an experiment is shown, to the accuracy of half precision."""
    expected = upright(experiment)
    np.testing.assert_allclose(page.values(view), expected, atol=6e-4 * expected.max())


class Page:
    """What a person does at the page, and what the page shows."""

    def __init__(self, driver, microscope):
        self.driver = driver
        self.microscope = microscope
        driver.get("about:blank")
        driver.get(microscope.url)
        self.until("window.weakbeam && window.weakbeam.ready")

    def run(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def until(self, condition, seconds=30):
        WebDriverWait(self.driver, seconds, 0.05).until(lambda d: self.run(f"return {condition}"))

    def settle(self):
        """Wait until everything that was asked for has been answered."""
        self.until("weakbeam.link.sent.size === 0 && weakbeam.rough.length === 0")

    def find(self, name):
        return self.driver.find_element(By.ID, name)

    def click(self, name):
        self.find(name).click()

    def choose(self, name, value):
        Select(self.find(name)).select_by_value(value)

    def values(self, view="A"):
        rows, columns, values = self.run(
            f"const p = weakbeam.views.{view}.picture;"
            "return [p.rows, p.columns, Array.from(p.halves, (_, k) => p.value(k))]"
        )
        return np.array(values).reshape(rows, columns)

    def motors(self, side="A"):
        return self.run(f"return weakbeam.sides.{side}.motors")

    def is_shown(self, name):
        return self.find(name).is_displayed()

    def text_of_export(self, kind, what="image"):
        self.click("leave")
        self.choose("leave-what", what)
        self.run("document.getElementById('leave-text').value = ''")
        self.driver.find_element(By.CSS_SELECTOR, f"[data-save={kind}]").click()
        self.until("document.getElementById('leave-text').value !== ''")
        text = self.run("return document.getElementById('leave-text').value")
        self.driver.find_element(By.CSS_SELECTOR, "#leave-dialog [value=close]").click()
        return text

    def drag(self, start, end, view="A"):
        """Press at a row and column of the picture, and let go at another one."""
        canvas = self.driver.find_element(By.CSS_SELECTOR, f"#view-{view} canvas")
        size = canvas.size
        places = [
            self.run(f"return weakbeam.views.{view}.toScreen(...arguments[0])", list(place))
            for place in (start, end)
        ]
        (x0, y0), (x1, y1) = [
            (round(x - size["width"] / 2), round(y - size["height"] / 2)) for x, y in places
        ]
        steps = ActionChains(self.driver, duration=50).move_to_element_with_offset(canvas, x0, y0)
        steps.click_and_hold()
        for share in (0.3, 0.6, 1.0):
            steps.move_to_element_with_offset(
                canvas, round(x0 + share * (x1 - x0)), round(y0 + share * (y1 - y0))
            )
        steps.release().perform()
