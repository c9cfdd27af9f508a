"""Figures of the distortion that several reflections gave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from weakbeam.analysis.distortion_tensors import COMPONENT_NAMES
from weakbeam.measured.circuit import Circuit
from weakbeam.measured.distortion_result import Distortion
from weakbeam.plot.distortion import Group
from weakbeam.plot.drawing import Drawing

_MICRO = 1e6
STRAINS = ("xx", "yy", "zz", "yz", "xz", "xy")
_AT = {"x": 0, "y": 1, "z": 2}


def layer_drawings(
    result: Distortion, circuits: Sequence[tuple[int, Circuit]] = ()
) -> dict[str, Drawing]:
    """Describe the figures of all layers; those of the lowest are numbered 1.

    Parameters
    ----------
    result : Distortion
        One layer of several, or the only one.
    circuits : sequence of (int, Circuit)
        Numbers and circuits, in any layers.
    """
    layers = result.layers
    if len(layers) == 1:
        return distortion_drawings(result, [one for _, one in circuits])
    drawings = {}
    for number, layer in enumerate(layers, 1):
        inside = [one for _, one in circuits if one.z == layer.z]
        for name, drawing in distortion_drawings(layer, inside).items():
            drawings[f"{name}-{number}"] = drawing
    return drawings


def distortion_drawings(result: Distortion, circuits: Sequence[Circuit] = ()) -> dict[str, Drawing]:
    """Describe all figures of a layer, by their names.

    Parameters
    ----------
    result : Distortion
        The distortion.
    circuits : sequence of Circuit
        Circuits to be drawn over the density of dislocations.
    """
    drawings = {"components": component_drawing(result)}
    if np.isfinite(result.beta_error).any():
        drawings["errors"] = error_drawing(result)
    if np.isfinite(result.strain).any() or np.isfinite(result.rotation).any():
        drawings["strain-rotation"] = tensor_drawing(result)
    if np.isfinite(result.nye).any():
        drawings["nye"] = nye_drawing(result)
    if circuits:
        drawings["circuits"] = circuit_drawing(result, circuits)
    return drawings


def component_drawing(result: Distortion) -> Drawing:
    """The nine components on one scale."""
    values = _MICRO * np.moveaxis(result.beta.reshape(*result.shape, 9), -1, 0)
    names = [f"β{_sub(name)}" for name in COMPONENT_NAMES]
    group = Group(names, values, "β (10⁻⁶)")
    return _drawing([group], result, f"distortion, {_axes(result)}")


def error_drawing(result: Distortion) -> Drawing:
    """Their standard deviations on one scale."""
    values = _MICRO * np.moveaxis(result.beta_error.reshape(*result.shape, 9), -1, 0)
    names = [f"σ(β{_sub(name)})" for name in COMPONENT_NAMES]
    group = Group(names, values, "standard deviation (10⁻⁶)", diverging=False)
    return _drawing([group], result, f"errors of the distortion, {_axes(result)}")


def tensor_drawing(result: Distortion) -> Drawing:
    """Strain and rotation, each on one scale."""
    strain = _MICRO * np.stack([result.strain[..., _AT[a], _AT[b]] for a, b in map(tuple, STRAINS)])
    turn = _MICRO * np.moveaxis(result.rotation, -1, 0)
    groups = [
        Group([f"ε{_sub(name)}" for name in STRAINS], strain, "strain (10⁻⁶)"),
        Group([f"ω{_sub(name)}" for name in "xyz"], turn, "rotation (µrad)"),
    ]
    return _drawing(groups, result, f"strain and rotation, {_axes(result)}")


def nye_drawing(result: Distortion) -> Drawing:
    """The Nye tensor's known components on one scale, always in sample axes."""
    values = _MICRO * np.moveaxis(result.nye.reshape(*result.shape, 9), -1, 0)
    known = [k for k in range(9) if np.isfinite(values[k]).any()]
    names = [f"α{_sub(COMPONENT_NAMES[k])}" for k in known]
    sample = result.in_frame("sample")
    group = Group(names, values[known], "Nye tensor (10⁻⁶/µm)")
    return _drawing([group], sample, f"density of dislocations, {_axes(sample)}")


def circuit_drawing(result: Distortion, circuits: Sequence[Circuit]) -> Drawing:
    """Circuits over the angle of the rotation, or what there is of the distortion."""
    size = _MICRO * np.linalg.norm(result.rotation, axis=-1)
    label = "|ω| (µrad)"
    if not np.isfinite(size).any():
        size, label = _MICRO * np.linalg.norm(result.beta, axis=(-2, -1)), "|β| (10⁻⁶)"
    texts = [(one.vertices, _said(number, one, result)) for number, one in enumerate(circuits, 1)]
    return Drawing(
        "weakbeam.plot.distortion.circuit_figure",
        (size, result.x, result.y, texts),
        {"label": label, "diverging": False, "title": f"Burgers circuits, {_axes(result)}"},
    )


def _said(number: int, one: Circuit, result: Distortion) -> str:
    """A circuit's vector in nm, with its error and the lattice vector that it is near."""
    values = ", ".join(f"{1e3 * value:.4f}" for value in one.burgers)
    text = f"{number}: b = ({values}) nm, {result.frame} axes"
    if np.isfinite(one.error).all():
        text += "\n    ± (" + ", ".join(f"{1e3 * error:.4f}" for error in one.error) + ") nm"
    near = "near no lattice vector" if one.lattice is None else lattice_text(one)
    return f"{text}\n    {near}"


def lattice_text(one: Circuit) -> str:
    """What lattice vector a circuit's vector is near."""
    assert one.lattice is not None
    if not one.lattice.any():
        return "no dislocation"
    halves = all(abs(2.0 * x - round(2.0 * x)) < 1e-9 for x in one.lattice)
    whole = all(abs(x - round(x)) < 1e-9 for x in one.lattice)
    if whole:
        return "[" + " ".join(f"{round(x)}" for x in one.lattice) + "]"
    if halves:
        return "½[" + " ".join(f"{round(2.0 * x)}" for x in one.lattice) + "]"
    return "[" + " ".join(f"{x:.4g}" for x in one.lattice) + "]"


def _drawing(groups: Sequence[Group], result: Distortion, title: str) -> Drawing:
    return Drawing(
        "weakbeam.plot.distortion.groups_figure", (groups, result.x, result.y), {"title": title}
    )


def _axes(result: Distortion) -> str:
    smooth = f", smoothed by {result.smoothing:g} µm" if result.smoothing else ""
    layer = f", z = {result.z:.4g} µm" if result.others else ""
    return f"{result.frame} axes{layer}{smooth}"


def _sub(name: str) -> str:
    """Indices as they are written after a symbol."""
    return f"$_{{{name}}}$"
