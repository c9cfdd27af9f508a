"""How people call materials, beside the names that the tables have."""

from __future__ import annotations

from typing import Any

NAMES: dict[str, tuple[str, ...]] = {
    "Al": ("aluminium", "aluminum"),
    "Cu": ("copper",),
    "Ni": ("nickel",),
    "Au": ("gold",),
    "Ag": ("silver",),
    "Pt": ("platinum",),
    "Fe": ("iron", "ferrite", "alpha-iron"),
    "W": ("tungsten", "wolfram"),
    "Mo": ("molybdenum",),
    "Ta": ("tantalum",),
    "Nb": ("niobium",),
    "V": ("vanadium",),
    "Cr": ("chromium",),
    "Ti": ("titanium", "alpha-titanium"),
    "Mg": ("magnesium",),
    "Zn": ("zinc",),
    "Zr": ("zirconium",),
    "Co": ("cobalt",),
    "Si": ("silicon",),
    "Ge": ("germanium",),
    "diamond": (),
    "GaAs": ("gallium arsenide",),
    "GaN": ("gallium nitride",),
    "ZnO": ("zinc oxide",),
    "4H-SiC": ("silicon carbide",),
    "quartz": ("alpha-quartz",),
    "rutile": ("titanium dioxide",),
    "Sn": ("tin", "white tin"),
    "Be": ("beryllium",),
    "SU-8": ("su8",),
}
"""Names of materials, by those that tables of crystals and of substances have."""

_TABLE_NAMES = {name.lower(): known for known, names in NAMES.items() for name in (known, *names)}


def table_name(name: Any) -> Any:
    """The name that the tables have, of one as people write it; any other value as it is.

    Examples
    --------
    >>> [table_name(name) for name in ("copper", "Aluminum", "cu", "Gallium nitride", "mithril")]
    ['Cu', 'Al', 'Cu', 'GaN', 'mithril']
    """
    if not isinstance(name, str):
        return name
    return _TABLE_NAMES.get(" ".join(name.split()).lower(), name)
