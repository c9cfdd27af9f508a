"""The page in a real browser: click, drag, type and read, with the engine behind it."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import weakbeam as wb

pytest.importorskip("websockets")
pytest.importorskip("selenium.webdriver")
from browsing import IN_A_BROWSER, Page, a_browser, assert_shows, mistakes_of
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from weakbeam.io.foreign import read_still
from weakbeam.io.frames import read_frames_of
from weakbeam.viewer.live import Microscope, live
from weakbeam.viewer.opened import scan_session

pytestmark = IN_A_BROWSER
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
    with live(EXPERIMENT) as microscope:
        yield Page(browser, microscope)
    assert mistakes_of(browser) == []


def at(phi, **more):
    return EXPERIMENT.replace(scan={"phi": wb.AngleAxis(value_mrad=phi), **more})


def test_a_slider_turns_the_motor_and_the_image_follows(page):
    assert_shows(page, EXPERIMENT)
    before = page.values()
    slider = page.find("motor-phi")
    slider.send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_UP)
    page.until("weakbeam.sides.A.motors.phi > 0.1")
    page.settle()
    phi = page.motors()["phi"]
    assert phi == pytest.approx(0.1 + 3 * page.run("return weakbeam.sides.A.reach.phi") / 100)
    assert not np.array_equal(page.values(), before)
    assert_shows(page, at(phi))
    number = page.driver.find_element(By.CSS_SELECTOR, "[aria-label='χ, value']")
    number.send_keys(Keys.CONTROL, "a")
    number.send_keys("0.5", Keys.ENTER)
    page.until("weakbeam.sides.A.motors.chi === 0.5")
    page.settle()
    assert_shows(page, at(phi, chi=wb.AngleAxis(value_mrad=0.5)))


def test_a_defect_is_dragged_and_brought_back(page):
    before = page.values()
    handle = page.run("return weakbeam.sides.A.defects[0].handle")
    target = [handle[0] + 12, handle[1] + 40]
    page.drag(handle, target)
    page.until(f"weakbeam.sides.A.defects[0].handle[1] > {handle[1] + 30}")
    page.settle()
    moved = page.values()
    assert np.abs(moved - before).max() > 0.03
    rows, columns = np.unravel_index(np.argmax(np.abs(moved - np.median(moved))), moved.shape)
    assert np.hypot(rows - target[0], columns - target[1]) < 15
    # The whole drag is one step back.
    page.driver.find_element(By.TAG_NAME, "body").send_keys(Keys.CONTROL, "z")
    page.until(f"Math.abs(weakbeam.sides.A.defects[0].handle[1] - {handle[1]}) < 0.01")
    np.testing.assert_array_equal(page.values(), before)
    page.click("redo")
    page.until(f"weakbeam.sides.A.defects[0].handle[1] > {handle[1] + 30}")
    np.testing.assert_array_equal(page.values(), moved)


def test_a_quick_image_gives_way_to_the_exact_one(page):
    page.settle()
    told = page.run(
        "const told = []; const { link } = weakbeam; const hear = link.onAnswer;"
        "link.onAnswer = (head, sent) => { told.push([head.do, head.rough, sent?.message.do]);"
        " hear(head, sent); }; window.told = told; return told"
    )
    assert told == []
    handle = page.run("return weakbeam.sides.A.defects[0].handle")
    page.drag(handle, [handle[0] + 9, handle[1] + 33])
    page.until("told.some(([, , did]) => did === 'settle')")
    page.settle()
    told = page.run("return told")
    assert ["frames", ["A"], "place"] in told
    assert [rough for _, rough, did in told if did == "settle"] == [[]] * sum(
        did == "settle" for _, _, did in told
    )
    assert_shows(page, wb.Experiment.from_toml_text(page.text_of_export("toml")))


def test_two_states_and_their_difference(page):
    page.choose("rule", "phi")
    page.until("weakbeam.sides.B && weakbeam.sides.B.motors.phi === -0.1")
    page.choose("view", "all")
    assert all(map(page.is_shown, ("view-A", "view-B", "view-difference")))
    assert_shows(page, at(-0.1), "B")
    difference = page.values("B") - page.values("A")
    np.testing.assert_allclose(page.values("difference"), difference, atol=2e-3)
    page.choose("view", "blink")
    page.until("!document.getElementById('view-B').hidden")
    page.until("!document.getElementById('view-A').hidden")
    page.choose("rule", "off")
    page.until("!weakbeam.sides.B")
    assert not page.is_shown("view-B")
    assert page.is_shown("view-A")


def test_the_file_makes_the_image_that_was_seen(page, tmp_path):
    page.find("motor-phi").send_keys(Keys.ARROW_LEFT)
    page.until("weakbeam.sides.A.motors.phi < 0.1")
    page.settle()
    handle = page.run("return weakbeam.sides.A.defects[0].handle")
    page.drag(handle, [handle[0] - 10, handle[1] - 30])
    page.until(f"weakbeam.sides.A.defects[0].handle[1] < {handle[1] - 25}")
    page.settle()
    (tmp_path / "seen.toml").write_text(page.text_of_export("toml"))
    subprocess.run(
        [sys.executable, "-m", "weakbeam", "forward", "-c", "seen.toml", "-o", "seen", "-q"],
        cwd=tmp_path,
        check=True,
        env=os.environ,
    )
    experiment = wb.Experiment.from_toml(tmp_path / "seen/experiment.toml")
    still = read_still(tmp_path / "seen/weakbeam.h5", "1.1")
    [frame] = read_frames_of(still, [0])
    # Stored rows run up the page: x, along the beam, grows downwards.
    seen = page.values()
    np.testing.assert_allclose(seen, frame[::-1], atol=6e-4 * frame.max())
    assert_shows(page, experiment)


def test_what_is_typed_is_checked_like_a_file(page):
    page.driver.find_element(By.CSS_SELECTOR, "[data-table=beam] summary").click()
    field = page.driver.find_element(By.CSS_SELECTOR, "[data-key='beam.height_fwhm_um'] input")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("-3", Keys.TAB)
    page.until("!document.getElementById('notice').hidden")
    with pytest.raises(wb.InputError) as mistake:
        EXPERIMENT.with_settings(["beam.height_fwhm_um=-3"])
    assert page.find("notice").text == str(mistake.value)
    assert field.get_property("value") == "0.6"
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys("0.3", Keys.TAB)
    page.until("weakbeam.sides.A.values.beam.height_fwhm_um === 0.3")
    assert not page.is_shown("notice")
    assert_shows(page, EXPERIMENT.replace(beam={"height_fwhm_um": 0.3}))
    back = page.driver.find_element(By.CSS_SELECTOR, "[data-key='beam.height_fwhm_um'] .back")
    back.click()
    page.until("weakbeam.sides.A.values.beam.height_fwhm_um === 0.15")


def test_defects_are_added_and_taken_away(page):
    page.click("add-open")
    page.until("document.getElementById('add-slip').options.length > 1")
    page.choose("add-kind", "loop")
    page.click("add")
    page.until("weakbeam.sides.A.defects.length === 2")
    assert not page.is_shown("add-dialog")
    text = page.text_of_export("toml")
    assert_shows(page, wb.Experiment.from_toml_text(text))
    page.driver.find_element(By.CSS_SELECTOR, "[aria-label='take defect 0 away']").click()
    page.until("weakbeam.sides.A.defects.length === 1")
    page.until("weakbeam.sides.A.defects[0].kind === 'loop'")


def test_the_stop_is_chosen_and_dragged(page):
    page.driver.find_element(By.CSS_SELECTOR, "[data-table=objective] summary").click()
    Select(
        page.driver.find_element(By.CSS_SELECTOR, "[aria-label='objective.stop']")
    ).select_by_value("knife_edge")
    page.until("weakbeam.sides.A.stop && weakbeam.plane.picture")
    page.run("document.getElementById('plane').scrollIntoView()")
    canvas = page.driver.find_element(By.CSS_SELECTOR, "#plane canvas")
    ActionChains(page.driver).move_to_element_with_offset(canvas, 0, -30).click().perform()
    page.until("weakbeam.sides.A.stop.position_um > 20")
    page.settle()
    stop = page.run("return weakbeam.sides.A.values.objective.stop")
    stop = {key: value for key, value in stop.items() if value is not None}
    assert_shows(page, EXPERIMENT.replace(objective={"stop": stop}))


def test_the_curve_of_a_pixel_is_the_scan_of_that_pixel(page):
    page.drag([20, 60], [20, 60])
    page.until("document.getElementById('curve-of').textContent.startsWith('pixel')")
    page.find("curve-range").clear()
    page.find("curve-range").send_keys("0.4", Keys.TAB)
    page.find("curve-steps").clear()
    page.find("curve-steps").send_keys("11", Keys.TAB)
    assert "highest" in page.driver.find_element(By.CSS_SELECTOR, "#curve canvas").get_attribute(
        "aria-label"
    )


def test_a_run_is_written(page, tmp_path):
    page.click("leave")
    page.choose("leave-what", "curve")
    page.find("run-folder").clear()
    page.find("run-folder").send_keys("from-page")
    page.click("run")
    page.until("document.getElementById('run-says').textContent.includes('61 images')", 60)
    assert wb.read_scan(tmp_path / "from-page" / "weakbeam.h5").frames == 61


def test_a_link_reproduces_the_state(page):
    page.find("motor-phi").send_keys(Keys.ARROW_LEFT)
    page.choose("rule", "burgers")
    page.until("weakbeam.sides.B && weakbeam.sides.A.motors.phi < 0.1")
    phi, seen = page.motors()["phi"], page.values("B")
    link = page.text_of_export("link")
    page.choose("template", "template default")
    page.until("weakbeam.sides.A.values.camera.pixels[0] === 170")
    page.driver.get("about:blank")
    page.driver.get(link)
    page.until("window.weakbeam && weakbeam.ready && weakbeam.sides.B")
    page.until("weakbeam.sides.A.values.camera.pixels[0] === 60")
    assert page.motors()["phi"] == phi
    np.testing.assert_array_equal(page.values("B"), seen)


def test_a_second_page_is_told_and_may_take_over(page):
    first = page.driver.current_window_handle
    page.driver.switch_to.new_window("tab")
    page.driver.get(page.microscope.url)
    page.until("!document.getElementById('veil').hidden")
    assert "another page" in page.find("veil-text").text
    page.click("veil-take")
    page.until("window.weakbeam.ready && document.getElementById('veil').hidden")
    page.driver.close()
    page.driver.switch_to.window(first)
    assert "taken this microscope over" in page.find("veil-text").text


def test_a_program_that_has_ended_is_noticed(page):
    page.microscope.close()
    page.until("!document.getElementById('veil').hidden")
    assert "has ended" in page.find("veil-text").text


def test_everything_has_a_name_for_those_who_do_not_see(page):
    unnamed = page.run(
        "return [...document.querySelectorAll('button, input, select, textarea, canvas')]"
        ".filter((e) => !e.labels?.length && !e.textContent.trim() && !e.ariaLabel && !e.title)"
        ".map((e) => e.outerHTML)"
    )
    assert unnamed == []


@pytest.mark.parametrize("width", [900, 1280, 1440])
def test_nothing_reaches_beyond_the_window(page, width):
    page.driver.set_window_size(width, 1000)
    page.choose("rule", "phi")
    page.until("weakbeam.sides.B")
    wide, window = page.run("return [document.documentElement.scrollWidth, innerWidth]")
    page.driver.set_window_size(1440, 1000)
    assert wide <= window


def test_a_scan_is_looked_at_beside_the_simulated_one(browser, tmp_path):
    scanned = EXPERIMENT.replace(
        scan={
            "phi": wb.AngleAxis(half_range_mrad=0.3, steps=5),
            "chi": wb.AngleAxis(half_range_mrad=0.5, steps=3),
        },
        output={"figures": False},
    )
    wb.record(scanned, tmp_path / "scan")
    with Microscope(scan_session(tmp_path / "scan/weakbeam.h5")) as microscope:
        page = Page(browser, microscope)
        assert page.is_shown("view-A")
        assert not page.is_shown("undo")
        page.find("motor-phi").send_keys(Keys.ARROW_RIGHT)
        page.find("motor-chi").send_keys(Keys.ARROW_LEFT)
        page.settle()
        # Samples of a scan are chosen for all of its frames, those of an image for that one.
        images = wb.simulate(scanned).images
        rows, columns = (np.argsort(images.coords[name]) for name in ("x", "y"))
        frame = images.values[0, 3][np.ix_(rows, columns)]
        np.testing.assert_allclose(page.values(), frame, atol=6e-4 * frame.max())
        page.click("beside")
        page.until("weakbeam.views.B.picture")
        shown = {"chi": wb.AngleAxis(value_mrad=-0.5), "phi": wb.AngleAxis(value_mrad=0.15)}
        assert_shows(page, EXPERIMENT.replace(scan=shown), "B")
        page.choose("layer", "com phi")
        page.until("weakbeam.views.map.picture")
        page.until("document.querySelector('#curve canvas').ariaLabel.includes('highest')")


SHOTS = os.environ.get("WEAKBEAM_SHOTS")


@pytest.mark.skipif(not SHOTS, reason="set WEAKBEAM_SHOTS to a folder for pictures")
@pytest.mark.parametrize("width", [900, 1280, 1440])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pictures_to_be_looked_at(page, width, theme):
    page.driver.set_window_size(width, 1000)
    if page.run("return document.documentElement.dataset.theme") != theme:
        page.click("theme")
    page.drag([30, 60], [30, 60])
    page.until("weakbeam.acceptance.picture")
    page.driver.save_screenshot(str(Path(SHOTS) / f"{theme}-{width}.png"))
    page.driver.set_window_size(1440, 1000)
