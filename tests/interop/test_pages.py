"""The examples for other programs run as they are printed, and their maps are ours."""

import re

import pytest
from interop_pages import blocks

pytestmark = pytest.mark.slow


def numbers(printed):
    """Numbers by name: "phi FWHM: 1.0e-12 of 2.0e-03" gives {"phi FWHM": [1e-12, 2e-3]}."""
    return {
        name: [float(number) for number in re.findall(r"\d\.\de[+-]\d\d", rest)]
        for name, rest in re.findall(r"^([^:\n]+): (.*)$", printed, re.M)
    }


def test_darfix(run_shell, run_in, tmp_path):
    run_shell(blocks("darfix.md", "sh"))
    printed = run_in("darfix", blocks("darfix.md", "python"))
    assert "(15, 21, 60, 120) [('phi', 21), ('chi', 15)]" in printed
    found = numbers(printed)
    assert len(found) == 8
    for name, (difference, _) in found.items():
        # Its width is 2.3548 standard deviations, cut after four digits.
        assert difference < (1e-8 if "FWHM" in name else 1e-9), name
    assert (tmp_path / "darfix-out" / "maps.h5").exists()


def test_darling(run_shell, run_in):
    run_shell(blocks("darling.md", "sh"))
    printed = run_in("darling", blocks("darling.md", "python"))
    assert "(60, 120, 15, 21) (2, 15, 21)" in printed
    found = numbers(printed)
    assert set(found) == {"chi", "phi", "misorientation"}
    for name in ("chi", "phi"):
        centre, width = found[name]
        assert centre < 2e-6
        assert width < 1e-4
    assert found["misorientation"][0] < 1e-5
