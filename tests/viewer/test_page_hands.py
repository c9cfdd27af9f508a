"""The page by mouse and keys: what stands beside the image, and what needs no mouse."""

import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import weakbeam as wb

pytest.importorskip("websockets")
pytest.importorskip("selenium.webdriver")
from browsing import IN_A_BROWSER, Page, a_browser, assert_shows, mistakes_of
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from weakbeam.viewer.live import live
from weakbeam.viewer.page_files import page_files

EXPERIMENT = wb.Experiment(
    camera={"pixels": (60, 180)},
    beam={"height_fwhm_um": 0.6},
    scan={"phi": {"value_mrad": 0.1}},
)


@pytest.fixture(scope="module")
def browser():
    with a_browser() as driver:
        yield driver


@pytest.fixture
def page(browser, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with live(EXPERIMENT, port=0) as microscope:
        yield Page(browser, microscope)
    assert mistakes_of(browser) == []


def in_a_browser(test):
    for mark in IN_A_BROWSER:
        test = mark(test)
    return test


def image_of(page, view="A"):
    return page.driver.find_element(By.CSS_SELECTOR, f"#view-{view} canvas")


@in_a_browser
def test_a_defect_is_moved_by_keys_and_that_is_told(page):
    start = page.run("return weakbeam.sides.A.defects[0].handle")
    image = image_of(page)
    image.send_keys("d")
    readout = page.find("readout")
    assert readout.get_attribute("aria-live") == "polite"
    assert "defect 0, dislocation" in readout.text
    assert "Escape" in readout.text
    image.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN)
    image.send_keys(Keys.SHIFT + Keys.ARROW_RIGHT + Keys.NULL)
    image.send_keys(Keys.ALT + Keys.ARROW_UP + Keys.NULL)
    told = readout.text
    page.until(f"weakbeam.sides.A.defects[0].handle[1] > {start[1] + 11.9}")
    page.settle()
    handle = page.run("return weakbeam.sides.A.defects[0].handle")
    np.testing.assert_allclose(handle, [start[0] + 0.9, start[1] + 12], atol=0.02)
    # What was told is where it is, in the unit of the axes.
    place = page.run("return weakbeam.views.A.inUnits(weakbeam.sides.A.defects[0].handle)")
    said = re.search(r"at (−?[\d.]+), (−?[\d.]+) µm", told)
    numbers = [float(text.replace("−", "-")) for text in said.groups()]
    np.testing.assert_allclose(numbers, place, atol=0.02)
    assert_shows(page, wb.Experiment.from_toml_text(page.text_of_export("toml")))
    # The steps in a row are one step back; then arrows move the pixel of the curve again.
    image.send_keys(Keys.ESCAPE, Keys.ARROW_RIGHT)
    page.until("document.getElementById('curve-of').textContent.startsWith('pixel')")
    page.click("undo")
    page.until(f"Math.abs(weakbeam.sides.A.defects[0].handle[1] - {start[1]}) < 0.01")


@in_a_browser
def test_the_wheel_zooms_and_the_colour_bar_changes_the_contrast(page):
    image = image_of(page)
    centre = ScrollOrigin.from_element(image)
    ActionChains(page.driver).scroll_from_origin(centre, 0, -600).perform()
    page.until("weakbeam.views.A.zoom > 2")
    seen = page.run("return weakbeam.views.A.window()")
    assert seen["rows"] < 30
    ActionChains(page.driver).double_click(image).perform()
    page.until("weakbeam.views.A.zoom === 1")
    before = page.run("return weakbeam.views.A.range()")
    x, y, wide, tall = page.run("return weakbeam.views.A.barBox()")
    size = image.size
    offset = round(x + wide / 2 - size["width"] / 2), round(y + tall / 4 - size["height"] / 2)
    drag = ActionChains(page.driver).move_to_element_with_offset(image, *offset).click_and_hold()
    drag.move_by_offset(0, round(tall / 4)).release().perform()
    after = page.run("return weakbeam.views.A.range()")
    assert after[0] == before[0]
    # Pulled down in its upper half: the brightest colour stands for more than before.
    expected = before[0] + 1.25 * (before[1] - before[0])
    assert after[1] == pytest.approx(expected, abs=0.02 * (before[1] - before[0]))
    drag = ActionChains(page.driver).move_to_element_with_offset(image, *offset)
    drag.double_click().perform()
    assert page.run("return weakbeam.views.A.range()") == before


@in_a_browser
def test_presets_and_templates_are_in_a_menu(page):
    page.choose("template", "preset id03")
    page.until("weakbeam.sides.A.given.preset")
    assert wb.Experiment.from_toml_text(page.text_of_export("toml")).preset == "id03"
    page.choose("template", "template default")
    page.until("weakbeam.sides.A.values.camera.pixels[0] === 170")


@in_a_browser
def test_a_program_that_was_killed_is_noticed(browser, tmp_path):
    command = [sys.executable, "-m", "weakbeam", "live", "--no-browser", "--port"]
    experiment = tmp_path / "small.toml"
    experiment.write_text(EXPERIMENT.to_toml())
    program = subprocess.Popen(
        [*command, "0", str(experiment)], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    try:
        page = Page(browser, SimpleNamespace(url=program.stdout.readline().strip()))
        assert not page.is_shown("veil")
        program.kill()
        page.until("!document.getElementById('veil').hidden")
        assert "has ended" in page.find("veil-text").text
    finally:
        program.kill()
        program.wait()


@in_a_browser
def test_a_reflection_is_picked_from_those_within_reach(page):
    page.driver.find_element(By.CSS_SELECTOR, "[data-table=reflection] summary").click()
    page.click("pick-open")
    page.until("document.querySelectorAll('#pick-rows tr').length > 5")
    rows = page.driver.find_elements(By.CSS_SELECTOR, "#pick-rows tr")
    cells = [[cell.text for cell in row.find_elements(By.TAG_NAME, "td")] for row in rows]
    assert all(len(row) == 4 and float(row[1]) < 25 for row in cells)
    [row] = [row for row in rows if row.text.startswith("1 1 -1 ")]
    row.find_element(By.TAG_NAME, "button").click()
    page.until("weakbeam.sides.A.values.reflection.hkl.join() === '1,1,-1'")
    page.settle()
    assert_shows(page, EXPERIMENT.replace(reflection={"hkl": (1, 1, -1)}))


@in_a_browser
def test_maps_come_when_they_are_asked_for(page):
    for what, text in (("q_roll", "q of the rolling"), ("center", "centre of mass of φ")):
        page.choose("layer", what)
        page.until(f"weakbeam.views.map.picture?.labels.values.startsWith('{text}')")
    assert page.is_shown("view-map")
    page.choose("layer", "")
    page.until("document.getElementById('view-map').hidden")


@in_a_browser
def test_the_curve_of_a_region_stands_beside_that_of_the_perfect_crystal(page):
    page.run("weakbeam.views.A.setRegion([10, 20], [19, 49]);"
             "weakbeam.views.A.events.region(weakbeam.views.A.region)")  # fmt: skip
    page.until("document.getElementById('curve-of').textContent.startsWith('region')")
    words = image_of_curve(page).get_attribute("aria-label")
    highest = {
        name: float(value) for name, value in re.findall(r"(\w[\w ]*): highest ([\d.]+)", words)
    }
    half = float(page.find("curve-range").get_attribute("value"))
    scan = {"phi": wb.AngleAxis(half_range_mrad=half, steps=61)}
    images = wb.simulate(EXPERIMENT.replace(scan=scan)).images
    rows, columns = (np.argsort(images.coords[name]) for name in ("x", "y"))
    region = images.values[:, rows][:, :, columns][:, 10:20, 20:50].mean(axis=(1, 2))
    assert highest["image"] == pytest.approx(region.max(), rel=1e-3)
    assert highest["perfect crystal"] == pytest.approx(1.0, abs=1e-3)


@in_a_browser
def test_the_marks_follow_the_motor_at_once(page):
    """Beside the image nothing is asked for while φ turns: only where it stands is marked anew."""
    page.settle()
    page.until("document.querySelector('#curve canvas').ariaLabel.includes('highest')")
    asked = "window.asked = []; const send = weakbeam.link.send.bind(weakbeam.link);"
    page.run(asked + "weakbeam.link.send = (m, s) => { window.asked.push(m.do); send(m, s); }")
    page.find("motor-phi").send_keys(Keys.ARROW_RIGHT)
    page.until("Math.abs(weakbeam.acceptance.point[1] - 0.105) < 1e-9")
    assert set(page.run("return window.asked")) == {"motors"}
    page.settle()
    assert page.run("return weakbeam.acceptance.point") == [0, 0.105]


@in_a_browser
def test_the_curve_is_that_of_the_pixel_under_the_pointer_until_one_is_kept(page):
    page.settle()
    page.until("document.querySelector('#curve canvas').ariaLabel.includes('highest')")
    image = image_of(page)
    for place in ([12, 30], [40, 150]):
        x, y = page.run("return weakbeam.views.A.toScreen(...arguments[0])", place)
        middle = image.size["width"] / 2, image.size["height"] / 2
        offset = round(x - middle[0]), round(y - middle[1])
        ActionChains(page.driver).move_to_element_with_offset(image, *offset).perform()
        # Rows of the camera run up the page.
        wanted = f"pixel {59 - place[0]}, {place[1]}"
        page.until(f"document.getElementById('curve-of').textContent === '{wanted}'")
    ActionChains(page.driver).click().move_by_offset(-60, -40).perform()
    page.settle()
    assert page.find("curve-of").text == wanted
    image.send_keys(Keys.ESCAPE)
    page.until(f"document.getElementById('curve-of').textContent !== '{wanted}'")


def image_of_curve(page):
    return page.driver.find_element(By.CSS_SELECTOR, "#curve canvas")


@in_a_browser
def test_everything_is_reached_by_the_tab_key_in_the_order_in_which_it_stands(page):
    names = []
    for _ in range(70):
        ActionChains(page.driver).send_keys(Keys.TAB).perform()
        names.append(page.run(
            "const e = document.activeElement;"
            "return e === document.body ? null : [e.id || e.tagName,"
            "e.getBoundingClientRect().top + scrollY, Boolean(e.labels?.length || e.ariaLabel ||"
            "e.textContent.trim() || e.title), getComputedStyle(e).outlineStyle]"
        ))  # fmt: skip
        if names[-1] is None:
            break
    found = [name for name in names if name]
    order = [name[0] for name in found]
    wanted = ["template", "rule", "layer", "scale", "colours", "marks", "leave", "theme"]
    assert [name for name in order if name in wanted] == wanted
    after = [
        "theme",
        "CANVAS",
        "motor-phi",
        "motor-chi",
        "motor-two_theta",
        "motor-z",
        "curve-motor",
    ]
    places = [order.index(name) for name in after]
    assert places == sorted(places)
    assert all(named and outline != "none" for _, _, named, outline in found)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_texts_and_lines_stand_out(theme):
    """Ratios of contrast by WCAG 2.1: 4.5 for texts, 3 for what else has to be told apart."""
    style = page_files()["style.css"][0].decode()
    light, dark = re.findall(r":root[^{]*\{(.*?)\}", style, re.S)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w+)", light))
    if theme == "dark":
        colours |= dict(re.findall(r"--([\w-]+): (#\w+)", dark))
    texts = [("ink", "page"), ("ink", "card"), ("faint", "card"), ("faint", "page"),
             ("accent", "card"), ("warn", "warn-page")]  # fmt: skip
    for text, ground in texts:
        assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    for line in ("accent", "curve-0", "curve-1", "curve-2", "edge"):
        assert contrast(colours[line], colours["card"]) >= 3.0, line
        assert contrast(colours[line], colours["page"]) >= 3.0, line


def contrast(one, other):
    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def luminance(colour):
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(2 * digit for digit in digits)
    parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
