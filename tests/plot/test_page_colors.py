"""The page of the microscope has the colours of the figures."""

from pathlib import Path

import weakbeam.viewer
from weakbeam.plot.page_colors import page_colors
from weakbeam.plot.style import DIVERGING_MAP, INTENSITY_MAP


def test_the_file_of_the_page_is_what_is_made():
    file = Path(weakbeam.viewer.__file__).parent / "page" / "colours.js"
    assert file.read_text() == page_colors()


def test_it_names_the_maps_of_the_figures():
    text = page_colors()
    assert f'INTENSITY = "{INTENSITY_MAP}"' in text
    assert f'DIVERGING = "{DIVERGING_MAP}"' in text
