"""Words for the combinations of the distortion that reflections leave open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weakbeam.analysis.distortion_tensors import COMPONENT_NAMES
from weakbeam.core.arrays import ArrayLike, Floats

_SAME = 1e-6
_SHOWN = 0.05


@dataclass(frozen=True, eq=False)
class OpenCombination:
    """A combination of the nine components that is not determined.

    Parameters
    ----------
    text : str
        What it is.
    tensor : (3, 3) ndarray
        A distortion of unit size that changes nothing that was measured.
    """

    text: str
    tensor: Floats


def named_combinations(open_: ArrayLike) -> list[OpenCombination]:
    """Name an orthonormal set of combinations, the plainest first.

    Parameters
    ----------
    open_ : (9, k) array_like
        Orthonormal columns: distortions β, row by row, that change nothing that was measured.

    Returns
    -------
    list of OpenCombination
        As many as there are; together they span the same.
    """
    left = np.asarray(open_, dtype=np.float64).reshape(9, -1)
    found: list[OpenCombination] = []
    for name in (_expansion, _displacements, _rotations, _strains):
        for text, tensor in name(left):
            vector = tensor.reshape(9)
            for one in found:
                vector = vector - (vector @ one.tensor.reshape(9)) * one.tensor.reshape(9)
            size = float(np.linalg.norm(vector))
            if size > _SAME and len(found) < left.shape[1]:
                found.append(OpenCombination(text, (vector / size).reshape(3, 3)))
    if len(found) < left.shape[1]:
        taken = np.array([one.tensor.reshape(9) for one in found]).reshape(-1, 9).T
        rest = left - taken @ (taken.T @ left)
        axes, values, _ = np.linalg.svd(rest, full_matrices=False)
        for column in axes[:, values > _SAME].T[: left.shape[1] - len(found)]:
            tensor = column.reshape(3, 3)
            tensor = tensor * np.sign(tensor.flat[int(np.abs(tensor).argmax())])
            found.append(OpenCombination(_sum_text(tensor), tensor))
    return found


def _inside(left: Floats, tensor: Floats) -> bool:
    vector = tensor.reshape(9) / np.linalg.norm(tensor)
    return float(np.linalg.norm(left.T @ vector)) > 1.0 - _SAME


def _expansion(left: Floats) -> list[tuple[str, Floats]]:
    if left.shape[1] and _inside(left, np.eye(3)):
        return [("a uniform expansion", np.eye(3) / np.sqrt(3.0))]
    return []


def _displacements(left: Floats) -> list[tuple[str, Floats]]:
    """Gradients of the displacement along one direction: d ⊗ v for all v."""
    if left.shape[1] < 3:
        return []
    # Directions d with d ⊗ e_j in the span, for every j.
    projector = (left @ left.T).reshape(3, 3, 3, 3)
    size = np.einsum("ijkj->ik", projector)
    values, axes = np.linalg.eigh(size)
    found = []
    for value, axis in zip(values, axes.T, strict=True):
        if value > 3.0 * (1.0 - _SAME):
            d = _upright(axis)
            for j, name in enumerate("xyz"):
                tensor = np.zeros((3, 3))
                tensor[:, j] = d
                found.append(
                    (f"how the displacement along {_direction(d)} grows along {name}", tensor)
                )
    return found


def _rotations(left: Floats) -> list[tuple[str, Floats]]:
    basis = []
    for i, j in ((1, 2), (2, 0), (0, 1)):
        tensor = np.zeros((3, 3))
        # A rotation about axis k: β_ji = 1, β_ij = -1 for (i, j, k) right-handed.
        tensor[j, i], tensor[i, j] = 1.0, -1.0
        basis.append(tensor.reshape(9) / np.sqrt(2.0))
    turns = np.array(basis).T
    if not left.shape[1]:
        return []
    _, values, axes = np.linalg.svd(left.T @ turns)
    found = []
    for value, axis in zip(values, axes, strict=False):
        if value > 1.0 - _SAME:
            axis = _upright(axis)
            found.append((f"a rotation about {_direction(axis)}", (turns @ axis).reshape(3, 3)))
    return found


def _strains(left: Floats) -> list[tuple[str, Floats]]:
    """A stretch along one direction."""
    found = []
    for column in left.T:
        tensor = column.reshape(3, 3)
        if np.allclose(tensor, tensor.T, atol=_SAME):
            values, axes = np.linalg.eigh(tensor)
            large = int(np.abs(values).argmax())
            if abs(values[large]) > 1.0 - _SAME:
                d = _upright(axes[:, large])
                found.append((f"a stretch along {_direction(d)}", np.outer(d, d)))
    return found


def _upright(axis: Floats) -> Floats:
    """A direction with its largest component positive."""
    return np.asarray(axis * np.sign(axis[int(np.abs(axis).argmax())]))


def _direction(axis: Floats) -> str:
    """A direction in short: whole numbers where it has them."""
    largest = float(np.abs(axis).max())
    for scale in range(1, 7):
        whole = axis / largest * scale
        if np.allclose(whole, np.round(whole), atol=1e-5):
            return "[" + " ".join(f"{round(float(x))}" for x in whole) + "]"
    return "(" + ", ".join(f"{x:.3f}" for x in axis) + ")"


def _sum_text(tensor: Floats) -> str:
    """A combination written out, the largest component first."""
    flat = tensor.reshape(9)
    order = np.argsort(-np.abs(flat), kind="stable")
    parts: list[str] = []
    for k in order:
        if abs(flat[k]) > _SHOWN:
            sign = "-" if flat[k] < 0.0 else ("+" if parts else "")
            parts.append(f"{sign}{' ' if parts else ''}{abs(flat[k]):.2f} β_{COMPONENT_NAMES[k]}")
    return " ".join(parts)
