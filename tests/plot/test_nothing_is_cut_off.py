"""Every figure with long labels: no ink at the edge of its page, and no text over another."""

from __future__ import annotations

import itertools
from io import BytesIO

import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from weakbeam.instrument.objective import CompoundRefractiveLens
from weakbeam.plot.acceptance import acceptance_figure
from weakbeam.plot.comparison import comparison_figure
from weakbeam.plot.contact_sheet import contact_sheet_figure
from weakbeam.plot.defects import defects_figure
from weakbeam.plot.image import image_figure, intensity_norm
from weakbeam.plot.kernel import kernel_figure
from weakbeam.plot.maps import com_figure
from weakbeam.plot.match import match_figure, ranking_figure
from weakbeam.plot.montage import montage_figure
from weakbeam.plot.mosaicity import mosaicity_figure
from weakbeam.plot.movie import Curve, movie_figure, pictures
from weakbeam.plot.network import network_figure
from weakbeam.plot.optics import layout_figure
from weakbeam.plot.panels import Panel, panels_figure
from weakbeam.plot.rays import rays_figure
from weakbeam.plot.reflections import polar_figure, stick_figure
from weakbeam.plot.rocking import rocking_figure
from weakbeam.plot.scan_curves import curves_figure, scan_map_figure
from weakbeam.plot.side_by_side import (
    Curves,
    Row,
    Side,
    compared_curves_figure,
    pictures_figure,
)
from weakbeam.plot.study import extra_figure, histogram_figure, light_figure, matrix_figure
from weakbeam.plot.style import render, style
from weakbeam.plot.view import View

LONG = "a_file_of_the_night_shift_0007.h5, 12.1: fscan2d chi -0.114591559026 0.003819718634 61 phi "
LONG += LONG
LABEL = "intensity / perfect crystal at peak"
VIEW = View(np.linspace(1234.5, -1234.5, 17), np.linspace(-2234.5, 2234.5, 51))
TALL = View(np.linspace(50.0, -50.0, 61), np.linspace(-1.0, 1.0, 5))
FIELD = 1e-7 * np.exp(-(np.linspace(-2, 2, 17)[:, None] ** 2) - np.linspace(-3, 3, 51) ** 2)
CURVE = Curve(1e-4 * np.arange(3.0) + 17.0, 1e-6 * np.arange(3.0), "a motor of the beamline (mrad)")
X = np.linspace(-0.5, 0.5, 41)
Q = [np.linspace(-5, 5, n) * rms for n, rms in zip((31, 35, 39), (8e-5, 1e-3, 1e-3), strict=True)]
PLANES = [np.ones((31, 35)), np.ones((31, 39)), np.ones((35, 39))]
LENS = CompoundRefractiveLens(88, 50.0, 1600.0, 1.1783e-6, 49.6e-6, 17.0, 0.274e6)
RNG = np.random.default_rng(0)
LINES = RNG.normal(size=(20, 3)), RNG.normal(size=(20, 3)), np.full(3, -5.0), np.full(3, 5.0)
NAMES = [f"a dislocation with a long name, number {k}: (1 1 −1)[−1 0 1] 123.4°" for k in range(8)]


def movie():
    norm = intensity_norm(FIELD, "linear")
    return movie_figure(FIELD, VIEW, CURVE, 1, norm, title=LONG, label=LABEL)


def network(height):
    corners = np.random.default_rng(1).uniform(-1.0, 1.0, (20, 2, 3))
    ends = 30000.0 * corners * [1.0, 0.6, height]
    kinds, labels = np.arange(20) % 4, ["[1 −1 0], 0.2556 nm"] * 4
    return network_figure(
        ends, kinds, labels, characters_deg=np.linspace(0.0, 90.0, 20), unit="b", title=LONG[:80]
    )


FIGURES = {
    "acceptance": lambda: acceptance_figure(*Q, *PLANES, title=LONG, note=LONG),
    "comparison": lambda: comparison_figure(
        {"φ": FIELD}, {"φ": {LABEL: FIELD}}, {"φ": {LABEL: (1.0, 1.0, 0.0)}}, title=LONG
    ),
    "contact sheet": lambda: contact_sheet_figure(
        [FIELD] * 3, np.ones((3, 1, 17, 51)), [], VIEW, labels=[LONG] * 3, label=LABEL, title=LONG
    ),
    "defects": lambda: defects_figure(
        *LINES, kinds=np.arange(20) % 8, labels=NAMES, burgers_lab=LINES[1][::-1], title=LONG
    ),
    "image": lambda: image_figure(
        FIELD, VIEW, title=LONG, phi_mrad=-0.123456, note=LONG, intensity_label=LABEL
    ),
    "image of counts": lambda: image_figure(
        6e4 + 1e7 * FIELD, VIEW, title=LONG, scale="asinh", intensity_label=LABEL
    ),
    "image on a log scale": lambda: image_figure(FIELD, VIEW, scale="log", intensity_label=LABEL),
    "tall image": lambda: image_figure(np.ones((61, 5)), TALL, title=LONG, intensity_label=LABEL),
    "kernel": lambda: kernel_figure(
        [np.append(q, 2 * q[-1] - q[-2]) for q in Q],
        PLANES,
        [np.ones(len(q)) for q in Q],
        title=LONG,
        note=LONG,
    ),
    "maps": lambda: com_figure({"φ − 0.123 mrad": (1e6 * FIELD, 1e6 * FIELD)}, VIEW, title=LONG),
    "match": lambda: match_figure(
        [FIELD] * 2, [FIELD] * 2, [FIELD] * 2, [LONG] * 2, [VIEW] * 2, title=LONG, note=LONG
    ),
    "ranking": lambda: ranking_figure(NAMES, np.full(8, 0.125), 1e5 * np.arange(8.0), title=LONG),
    "montage": lambda: montage_figure(
        [FIELD] * 5, [LONG] * 5, VIEW, label=LABEL, title=LONG, note=LONG
    ),
    "montage on one range": lambda: montage_figure(
        [FIELD] * 6, [LONG] * 6, VIEW, own_range=False, label=LABEL, title=LONG
    ),
    "montage of a grid": lambda: montage_figure(
        [FIELD] * 4,
        [LONG] * 4,
        VIEW,
        columns=2,
        row_labels=[LONG] * 2,
        column_labels=[LONG] * 2,
        label=LABEL,
        title=LONG,
        note=LONG,
    ),
    "mosaicity": lambda: mosaicity_figure(FIELD + 1.234567, FIELD - 2.345678, VIEW, title=LONG),
    "movie": movie,
    "network": lambda: network(1.0),
    "network in a plane": lambda: network(0.0),
    "optics": lambda: layout_figure(LENS, 1234.5, title=LONG),
    "panels": lambda: panels_figure(
        [Panel("centre of mass, φ − 12.345 deg", 1e-9 * FIELD, LABEL)] * 3, VIEW, title=LONG
    ),
    "panels, three beside each other": lambda: panels_figure(
        [Panel("second maximum, ccmth − 122.1730 mrad", FIELD, "ccmth (mrad)")] * 4,
        VIEW,
        columns=3,
        title=LONG,
    ),
    "side by side": lambda: pictures_figure(
        [
            Row(LABEL, [Side(LONG, FIELD, VIEW)] * 2, "intensity", Side(LONG, FIELD, VIEW), LABEL),
            Row(LABEL, [Side(LONG, FIELD, VIEW)] * 2, "diverging", Side(LONG, FIELD, VIEW), LABEL),
        ],
        titles=[LONG, LONG],
        notes=[LONG, "B: φ shifted by −17.0623 deg"],
    ),
    "side by side, unlike": lambda: pictures_figure(
        [
            Row(LABEL, [Side(LONG, 1234.5 * np.ones((61, 5)), TALL), Side(LONG, FIELD, VIEW)] * 2),
            Row(LABEL, [Side("", FIELD, VIEW)] * 2, "range", Side("", FIELD, VIEW), LABEL, True),
        ],
        titles=[LONG, LONG],
        scale="asinh",
    ),
    "curves of several": lambda: compared_curves_figure(
        [
            Curves("a motor of the beamline (mrad)", LABEL, [(n, X, 1e-7 * X**2) for n in NAMES]),
            Curves("φ − 17.0623 deg (mrad)", LABEL, [(NAMES[0], X, X + 2)], (X, 1e-9 * X)),
        ],
        notes=[LONG],
    ),
    "rays": lambda: rays_figure(1e-3 * RNG.normal(size=(500, 3)), title=LONG, note=LONG),
    "polar": lambda: polar_figure(
        np.linspace(-180, 170, 36), np.full(36, 20.0), np.ones(36), ["−10 10 −10"] * 36, title=LONG
    ),
    "sticks": lambda: stick_figure(
        np.linspace(5, 40, 30), np.ones(30), ["−10 10 −10"] * 30, title=LONG
    ),
    "rocking": lambda: rocking_figure(
        X,
        np.exp(-30 * X**2),
        positions_mrad=X,
        curves={"mean of the image": np.exp(-20 * X**2)},
        setting_mrad=-0.1234567,
        setting_label="frame 1234567",
        title=LONG,
    ),
    "curves": lambda: curves_figure(
        17.0 + 1e-5 * X,
        {f"rows 1000:2000, columns 1000:200{k}": 1e6 * (1 + k - X**2) for k in range(5)},
        intensity_label=LABEL,
        title=LONG,
    ),
    "map of a scan": lambda: scan_map_figure(
        {f"rows 1000:2000, columns 1000:200{k}": 1e7 * FIELD for k in range(4)},
        ("a motor of the beamline (deg)", 17.0 + 1e-5 * np.arange(17)),
        ("another motor of the beamline (deg)", 1e5 * np.arange(51.0)),
        intensity_label=LABEL,
        title=LONG,
    ),
    "correlations": lambda: matrix_figure(np.eye(8), NAMES, title=LONG, note=LONG),
    "histogram": lambda: histogram_figure(dict.fromkeys(NAMES[:4], X + 0.5), 0.5, title=LONG),
    "light": lambda: light_figure([0.1, 1, 10], np.full((3, 4), 0.3), 0.01, title=LONG),
    "further images": lambda: extra_figure(NAMES, np.arange(8.0), 1.0, title=LONG),
}
GROW = {"defects", "ranking", "correlations", "further images", "histogram"}
"""Figures with names that nobody can foresee beside their panels: the page grows."""


@pytest.mark.parametrize("name", FIGURES)
def test_no_ink_at_the_edge_of_the_page(name):
    figure = FIGURES[name]()
    with Image.open(BytesIO(render(figure, ".png", dpi=100))) as image:
        page = np.asarray(image.convert("RGB"))
    for edge in (page[0], page[-1], page[:, 0], page[:, -1]):
        assert (edge == 255).all()
    # Nor does the page have to grow for titles and notes.
    if name not in GROW:
        wide, high = figure.get_size_inches()
        assert page.shape[1] <= 100.0 * wide + 45
        assert page.shape[0] <= 100.0 * high + 25


def numbers_beyond(axes):
    """Numbers at ticks beyond the ends of an axis, which are not drawn."""
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        near = 1e-6 * (high - low)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low - near <= tick.get_loc() <= high + near:
                yield from (tick.label1, tick.label2)


def written(figure):
    """Places of all texts, a little smaller than they are."""
    with style():
        figure.draw_without_rendering()
        outside = {label for axes in figure.axes for label in numbers_beyond(axes)}
        for text in figure.findobj(Text):
            if text.get_visible() and text.get_text().strip() and text not in outside:
                box = text.get_window_extent()
                if box.width > 0.0 and box.height > 0.0:
                    yield text.get_text(), box.padded(-0.15 * min(box.width, box.height))


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_covers_another(name):
    for (first, a), (second, b) in itertools.combinations(written(FIGURES[name]()), 2):
        assert not a.overlaps(b), (first, second)


def test_pictures_of_a_movie_have_no_ink_at_their_edge():
    shown = [(FIELD, LONG), (2.0 * FIELD, LONG), (FIELD, "short")]
    for picture in pictures(shown, VIEW, CURVE, (0.0, 1.0), label=LABEL):
        for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            assert (edge == 255).all()
