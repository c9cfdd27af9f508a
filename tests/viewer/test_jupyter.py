"""The microscope in JupyterLab, in a real browser: one look from cell to image."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytest.importorskip("jupyterlab")
pytest.importorskip("anywidget")
pytest.importorskip("selenium.webdriver")
from browsing import IN_A_BROWSER, Page, a_browser, assert_shows, mistakes_of
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import weakbeam as wb

pytestmark = IN_A_BROWSER
SHOTS = os.environ.get("WEAKBEAM_SHOTS")
FRAME = "iframe[title='weakbeam microscope']"
CELL = """import weakbeam as wb
experiment = wb.Experiment(
    camera={"pixels": (60, 180)}, beam={"height_fwhm_um": 0.6}, scan={"phi": {"value_mrad": 0.1}}
)
microscope = wb.live(experiment)
microscope"""


@pytest.fixture
def lab(tmp_path):
    """JupyterLab with a notebook of one cell; its address."""
    cell = {"cell_type": "code", "source": CELL, "metadata": {}, "outputs": [],
            "execution_count": None, "id": "a"}  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book = {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "books").mkdir()
    (tmp_path / "books/live.ipynb").write_text(json.dumps(book))
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    own["JUPYTERLAB_WORKSPACES_DIR"] = str(tmp_path / "workspaces")
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0",
               "--ServerApp.token=abc", f"--ServerApp.root_dir={tmp_path / 'books'}",
               "--LabApp.news_url=None"]  # fmt: skip
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(command, env={**os.environ, **own}, stdout=log, stderr=log)
        try:
            address = address_of(tmp_path / "RUNTIME", server)
            yield f"{address}lab/tree/live.ipynb?token=abc"
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def address_of(runtime: Path, server):
    for _ in range(600):
        assert server.poll() is None
        for file in runtime.glob("jpserver-*.json"):
            try:
                address = json.loads(file.read_text())["url"]
                with urllib.request.urlopen(f"{address}api?token=abc", timeout=10):
                    return address
            except (OSError, ValueError):
                pass
        time.sleep(0.1)
    raise AssertionError("JupyterLab does not answer")


class Framed(Page):
    """The page in the frame of a cell."""

    def __init__(self, driver):
        self.driver = driver


def restart_kernels(address):
    said = {"Authorization": "token abc"}
    kernels = urllib.request.Request(f"{address}api/kernels", headers=said)
    with urllib.request.urlopen(kernels, timeout=30) as answer:
        found = [kernel["id"] for kernel in json.load(answer)]
    assert found
    for kernel in found:
        restart = urllib.request.Request(
            f"{address}api/kernels/{kernel}/restart", data=b"", headers=said, method="POST"
        )
        urllib.request.urlopen(restart, timeout=60).close()


def run_first_cell(page):
    """Run it as a person does, again if JupyterLab was still busy with itself."""
    page.until("document.querySelector('.jp-CodeCell .cm-content')", 120)
    for _ in range(20):
        try:
            page.driver.find_element(By.CSS_SELECTOR, ".jp-CodeCell .cm-content").click()
            keys = ActionChains(page.driver).key_down(Keys.SHIFT).send_keys(Keys.ENTER)
            keys.key_up(Keys.SHIFT).perform()
            page.until(f'document.querySelector("{FRAME}")', 10)
            return
        except WebDriverException:
            time.sleep(1)
    raise AssertionError("the cell shows nothing")


def test_a_cell_shows_the_microscope(lab):
    with a_browser() as driver:
        driver.set_window_size(1500, 1100)
        driver.get(lab)
        page = Framed(driver)
        run_first_cell(page)
        driver.switch_to.frame(driver.find_element(By.CSS_SELECTOR, FRAME))
        page.until("window.weakbeam && window.weakbeam.ready", 60)
        page.until("document.getElementById('motor-phi').getClientRects().length")
        page.run("document.getElementById('motor-phi').scrollIntoView({ block: 'center' })")
        page.find("motor-phi").send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        page.until("Math.abs(weakbeam.sides.A.motors.phi - 0.11) < 1e-9")
        page.settle()
        names = {}
        exec(CELL.partition("microscope")[0], names)
        turned = names["experiment"].replace(scan={"phi": wb.AngleAxis(value_mrad=0.11)})
        assert_shows(page, turned)
        driver.switch_to.default_content()
        if SHOTS:
            driver.save_screenshot(str(Path(SHOTS) / "jupyter.png"))
        assert mistakes_of(driver) == []
        restart_kernels(lab.partition("lab/tree")[0])
        driver.switch_to.frame(driver.find_element(By.CSS_SELECTOR, FRAME))
        page.until("!document.getElementById('veil').hidden", 60)
        assert "has ended" in page.find("veil-text").text
