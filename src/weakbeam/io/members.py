"""Members of HDF5 groups that may be missing, of another kind, or links that lead nowhere."""

from __future__ import annotations

from typing import Any

import h5py


def group_at(parent: Any, name: str) -> h5py.Group | None:
    """Return the group of this name, or None."""
    return _member(parent, name, h5py.Group)


def dataset_at(parent: Any, name: str) -> h5py.Dataset | None:
    """Return the dataset of this name, or None."""
    return _member(parent, name, h5py.Dataset)


def _member(parent: Any, name: str, kind: type) -> Any:
    """A member of a group, or None: also where a link leads nowhere."""
    try:
        member = parent[name]
    except (KeyError, OSError, RuntimeError):
        return None
    return member if isinstance(member, kind) else None


def text_at(group: h5py.Group, name: str) -> str:
    """Return a text in one line; empty where there is none."""
    text = dataset_at(group, name)
    if text is None or text.ndim != 0 or h5py.check_string_dtype(text.dtype) is None:
        return ""
    return " ".join(text.asstr()[()].split())
