"""What a machine's memory holds, asked before it is filled."""

from __future__ import annotations

import os

from weakbeam.errors import InputError

SHARE = 0.9
"""Share of the memory that a program may want."""


def physical_memory() -> float:
    """Memory of the machine in bytes; infinite where the system does not tell."""
    try:
        return float(os.sysconf("SC_PHYS_PAGES")) * float(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


def lacking_memory(needed: float) -> str:
    """What to say of arrays that do not fit in memory; empty if they do."""
    available = physical_memory()
    if needed <= SHARE * available:
        return ""
    return f"needs {needed / 1e9:.3g} GB of memory and this machine has {available / 1e9:.3g} GB"


def check_memory_for(needed: float, key: str, value: object, advice: str = "") -> None:
    """Refuse arrays that do not fit in memory.

    Parameters
    ----------
    needed : float
        Their size in bytes.
    key : str
        What asks for them.
    value : object
        Its value.
    advice : str
        What would need less.

    Raises
    ------
    InputError
        With what is needed and what there is.
    """
    if lacking := lacking_memory(needed):
        raise InputError(key, value, f"{lacking}; {advice}" if advice else lacking)
