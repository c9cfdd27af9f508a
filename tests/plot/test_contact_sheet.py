"""A training set at a glance."""

import numpy as np
import pytest

from weakbeam.plot.contact_sheet import contact_sheet_figure
from weakbeam.plot.view import View

IMAGES = np.random.default_rng(0).uniform(size=(2, 8, 11))
VIEW = View(np.arange(8.0)[::-1], 2.0 * np.arange(11.0))


def test_outlines_run_around_the_pixels_of_a_mask():
    masks = np.zeros((2, 2, 8, 11), np.uint8)
    masks[0, 1, 2:4, 5:9] = 1
    figure = contact_sheet_figure(IMAGES, masks, [], VIEW)
    empty, outline = figure.axes[0].collections
    assert empty.get_segments() == []
    ends = np.concatenate(outline.get_segments())
    # Rows 2 and 3 have x = 5 and 4; columns 5 to 8 y = 10 to 16.
    np.testing.assert_allclose(ends.min(axis=0), [9.0, 3.5])
    np.testing.assert_allclose(ends.max(axis=0), [17.0, 5.5])
    assert len(outline.get_segments()) == 2 * (2 + 4)


def test_lines_run_where_they_are_lit():
    traces = [[[1.0, 2.0, 3.0, 4.0], [np.nan] * 4], []]
    figure = contact_sheet_figure(IMAGES, np.zeros((2, 0, 8, 11)), traces, VIEW)
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), [[4.0, 6.0], [8.0, 4.0]])
    assert figure.axes[1].lines[:] == []
    assert {"image 0", "image 1"} <= {text.get_text() for text in figure.texts}


def test_masks_must_fit_the_images():
    with pytest.raises(ValueError, match="do not fit images"):
        contact_sheet_figure(IMAGES, np.zeros((2, 1, 8, 10)), [], VIEW)
