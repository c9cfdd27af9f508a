"""From the experiment's description to the objects of the physics.

What only physics can tell is checked here, before anything is computed or written: whether the
reflection exists and can be reached, whether a Burgers vector lies in its plane.
"""

from __future__ import annotations

from weakbeam.assemble.inputs import input_files
from weakbeam.assemble.resolved import Resolved, resolve
from weakbeam.assemble.setup import Setup, assemble, assemble_all

__all__ = ["Resolved", "Setup", "assemble", "assemble_all", "input_files", "resolve"]
