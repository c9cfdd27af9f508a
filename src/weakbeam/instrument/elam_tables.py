"""Cross-sections of Elam, Ravel & Sieber (2002), from the database that comes with xraydb.

Importing xraydb takes half a second, a third of a whole first image, and a run needs a few numbers
of it. They are in an SQLite file: logarithms of energy and cross-section, and the second
derivatives of the cubic spline through them.
"""

from __future__ import annotations

import json
import math
import sqlite3
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from weakbeam.core.arrays import Floats

_FILE = "xraydb.sqlite"
_COLUMNS = {
    "photoabsorption": ("log_photoabsorption",),
    "scattering": ("log_coherent_scatter", "log_incoherent_scatter"),
}


@cache
def total_cross_section(element: str, energy_ev: float) -> float | None:
    """Photoabsorption and scattering together, of a mole of an element.

    Parameters
    ----------
    element : str
        Chemical symbol.
    energy_ev : float
        Photon energy (eV), within the tables.

    Returns
    -------
    float or None
        In cm²/mol; None where this version of xraydb has no such file, tables or element.
    """
    package = find_spec("xraydb")
    if package is None or not package.submodule_search_locations:
        return None
    file = Path(package.submodule_search_locations[0]) / _FILE
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            query = "SELECT molar_mass FROM elements WHERE element = ?"
            (mass,) = database.execute(query, (element,)).fetchone()
            total = 0.0
            for table, names in _COLUMNS.items():
                columns = ", ".join(["log_energy", *(f"{n}, {n}_spline" for n in names)])
                query = f"SELECT {columns} FROM {table} WHERE element = ?"
                row = database.execute(query, (element,)).fetchone()
                x, *curves = (np.array(json.loads(text), dtype=np.float64) for text in row)
                for values, bends in zip(curves[::2], curves[1::2], strict=True):
                    total += math.exp(_spline(x, values, bends, math.log(energy_ev)))
    except (sqlite3.Error, TypeError, ValueError, OSError):
        return None
    return total * float(mass)


def _spline(x: Floats, y: Floats, second: Floats, at: float) -> float:
    """Cubic spline with the second derivatives `second` at the knots."""
    high = min(max(int(np.searchsorted(x, at)), 1), len(x) - 1)
    low = high - 1
    width = x[high] - x[low]
    a, b = (x[high] - at) / width, (at - x[low]) / width
    bend = (a**3 - a) * second[low] + (b**3 - b) * second[high]
    return float(a * y[low] + b * y[high] + bend * width**2 / 6.0)
