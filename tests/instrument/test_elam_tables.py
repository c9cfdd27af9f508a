"""Cross-sections read from the file of xraydb against those that xraydb gives."""

import subprocess
import sys

import numpy as np
import pytest
import xraydb

from weakbeam.instrument.elam_tables import total_cross_section


@pytest.mark.parametrize("element", ["H", "Be", "C", "Al", "Ti", "Fe", "Cu", "Ga", "Ta", "W", "U"])
def test_they_are_those_of_xraydb(element):
    for energy in np.geomspace(123.0, 7.7e5, 60):
        expected = xraydb.mu_elam(element, energy, kind="total") * xraydb.atomic_mass(element)
        assert total_cross_section(element, float(energy)) == pytest.approx(expected, rel=1e-10)


def test_what_is_no_element_is_none():
    assert total_cross_section("Xx", 17e3) is None


def test_xraydb_is_not_imported_for_them():
    code = (
        "import sys; from weakbeam.instrument.matter import cross_section; "
        "cross_section('Al', 17.0); print('xraydb' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
