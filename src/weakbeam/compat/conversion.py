"""From a TOML file of dfxm-geo, 2.x or 3.x, to an experiment."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from weakbeam.compat import crystal, defects, optics
from weakbeam.compat.keys import Keys, Notes
from weakbeam.compat.scan import scan_of
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.errors import InputError
from weakbeam.toml_text import read_toml, toml_value

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment

Section = dict[str, Any]

BURGERS_NM = 0.2862
"""Length (nm) of every Burgers vector of FCC in dfxm-geo."""

_TOP = {"reciprocal", "geometry", "io", "postprocess", "detector", "detector_geometry", "noise"}
_TOP |= {"reflections_auto", "multi", "zscan", "mode"}
_CRYSTAL = {"mode", *defects.MODES, "lattice", "a", "mount_x", "slip_plane_normal", "slip_system"}
_CRYSTAL |= {"structure_type", "angle_step_deg", "sweep_all_slip_planes", "exclude_invisibility"}
_AXIS = {"value", "range"}


@dataclass(frozen=True)
class Conversion:
    """An experiment made of a file of dfxm-geo.

    Parameters
    ----------
    tree : dict
        The experiment as the tables of a TOML file.
    notes : Notes
        What changes in meaning, and what is ignored.
    """

    tree: Section
    notes: Notes

    @property
    def experiment(self) -> Experiment:
        """The experiment.

        Raises
        ------
        InputError
            If a value is not allowed.
        """
        from weakbeam.experiment import Experiment

        return Experiment.from_toml_text(self.toml, "the converted file")

    @property
    def toml(self) -> str:
        """The experiment as a file: only keys that dfxm-geo has a value for."""
        return "\n".join(_blocks(self.tree))


def is_dfxm_geo(data: Mapping[str, Any]) -> bool:
    """Whether a TOML file is one of dfxm-geo: it has a key that experiments do not have.

    Parameters
    ----------
    data : mapping
        The content of the file. An empty one is an experiment.
    """
    tables = {name: value for name, value in data.items() if isinstance(value, Mapping)}
    scan = tables.get("scan", {})
    axes = [axis for axis in scan.values() if isinstance(axis, Mapping)]
    return (
        bool(_TOP & set(data))
        or bool(_CRYSTAL & set(tables.get("crystal", {})))
        or "two_dtheta" in scan
        or any(_AXIS & set(axis) for axis in axes)
    )


def convert_file(path: str | os.PathLike[str], *, reproduce: bool = False) -> Conversion:
    """Convert a file of dfxm-geo.

    Parameters
    ----------
    path : path-like
        The file.
    reproduce : bool
        Whether points, Burgers vectors and cores are those of dfxm-geo; see :func:`convert`.

    Raises
    ------
    InputError
        If the file cannot be read, or a value is not one that dfxm-geo allows.
    """
    return convert(read_toml(path), reproduce=reproduce, folder=Path(path).parent)


def convert(
    data: Mapping[str, Any], *, reproduce: bool = False, folder: Path | None = None
) -> Conversion:
    """Convert the content of a file of dfxm-geo.

    Parameters
    ----------
    data : mapping
        The file as tables.
    reproduce : bool
        Whether to take the points of a pixel, the length of Burgers vectors and the core of
        dislocations as dfxm-geo does, to reproduce its images.
    folder : Path, optional
        Where the file stands, for the files that it names.

    Returns
    -------
    Conversion

    Raises
    ------
    InputError
        If a value is not one that dfxm-geo allows.
    """
    notes = Notes()
    keys = Keys(data, "", notes)
    version = 2 if "noise" in data or "Npixels" in data.get("detector", {}) else 3
    reciprocal, geometry = keys.table("reciprocal"), keys.table("geometry")
    oblique = geometry.choice("mode", "simplified", ("simplified", "oblique")) == "oblique"
    table = keys.table("crystal")
    kind = defects.mode_of(table)
    block = {mode: table.table(mode) for mode in defects.MODES}
    remount = defects.remount_of(block["wall"])

    tree: Section = {}
    _noise(keys, notes)
    beam, objective = optics.beam_of(reciprocal), optics.objective_of(reciprocal, notes)
    lattice_a = reciprocal.number("lattice_a", crystal.ALUMINIUM_A)
    tree["crystal"] = crystal.crystal_section(table, oblique, lattice_a, folder)
    tree["beam"] = beam
    hkl = reciprocal.indices("hkl", crystal.MOUNTED)
    if oblique:
        tree |= _oblique_reflections(keys, reciprocal, geometry, hkl, tree)
    else:
        geometry.ignore("eta is 0 in the symmetric geometry", "eta", "omega", "theta_validated")
        reciprocal.ignore("eta is 0 in the symmetric geometry", "eta")
        reflection, x_axis = crystal.symmetric_reflection(hkl, remount, notes)
        tree["reflection"], tree["crystal"]["x_axis"] = reflection, x_axis
    geometry.finish()
    tree["objective"] = objective
    blur = reciprocal.number("dphi_range", 0.0)
    optics.ignore_kernel(reciprocal)
    reciprocal.finish()

    camera = optics.geometry_of_camera(keys.table("detector_geometry"), notes)
    camera |= optics.detector_of(keys.table("detector"), version, notes)
    if blur:
        camera["phi_blur_mrad"] = optics.rounded(1e3 * blur)
    tree["camera"] = camera
    frame = _frame(tree, oblique, camera)
    tree["defects"] = _defects(kind, block[kind], frame, tree["crystal"])
    for mode in set(block) - {kind}:
        if any(name for name in data.get("crystal", {}).get(mode, {})):
            notes.ignore(f"crystal.{mode}: ignored: crystal.mode is {kind}")
    table.finish()
    if scan := scan_of(keys.table("scan"), notes):
        tree["scan"] = scan
    tree["output"] = _output(keys)
    if reproduce:
        _reproduce(tree, oblique, notes)
    else:
        _new_physics(notes)
    keys.finish()
    return Conversion(tree, notes)


def _noise(keys: Keys, notes: Notes) -> None:
    if "noise" in keys:
        noise = keys.table("noise")
        noise.ignore(
            'camera.model = "pco_edge" makes counts; its noise is measured, not only Poisson',
            "poisson_noise",
            "rng_seed",
            "intensity_scale",
        )
        noise.finish()


def _oblique_reflections(
    keys: Keys, reciprocal: Keys, geometry: Keys, hkl: tuple[int, int, int], tree: Section
) -> Section:
    given = keys.tables("reflections")
    auto = keys.table("reflections_auto") if "reflections_auto" in keys else None
    eta = geometry.number_or_none("eta")
    geometry.ignore("solved from hkl, keV and the mount", "theta_validated", "omega")
    reciprocal.ignore("geometry.eta is used", "eta")
    setup = {"crystal": tree["crystal"], "beam": tree["beam"]}
    if auto is not None:
        theta_max = auto.number("theta_max", math.radians(16.25))
        hkl_max = auto.integer("hkl_max", 5, least=1)
        found = crystal.group_at(auto.number("eta_target"), theta_max, hkl_max, setup)
        auto.ignore(f"{crystal.ETA_TOLERANCE:g} rad is used", "eta_tol")
        auto.finish()
        return {"reflections": found}
    if not given:
        if eta is None:
            raise InputError("geometry.eta", None, "missing; the oblique geometry needs it")
        return {"reflection": crystal.oblique_reflection(hkl, eta, setup)}
    found = []
    for entry in given:
        one = entry.indices("hkl")
        azimuth = entry.number_or_none("eta")
        entry.ignore("all reflections share reciprocal.keV", "keV")
        entry.ignore("solved from hkl, keV and the mount", "omega", "theta")
        entry.finish()
        found.append(crystal.oblique_reflection(one, azimuth, setup))
    return {"reflections": found}


def _frame(tree: Section, oblique: bool, camera: Section) -> defects.Frame:
    if "pixel_nm" in camera:
        pixel = 1e-3 * camera["pixel_nm"]
    else:
        pixel = camera["camera_pixel_um"] / camera["magnification"]
    width = float(camera["pixels"][1] * pixel)
    if oblique:
        return defects.Frame(None, None, width)
    given = tree["crystal"].get("cell")
    cell = UnitCell(**given) if given else UnitCell.cubic(1e10 * crystal.ALUMINIUM_A)
    hkl, x_axis = tree["reflection"]["hkl"], tree["crystal"]["x_axis"]
    try:
        theta = bragg_angle(float(cell.d_spacing(hkl)), tree["beam"]["energy_keV"])
    except ValueError as error:
        raise InputError("reciprocal.hkl", hkl, str(error)) from None
    c, s = math.cos(theta), math.sin(theta)
    sample_from_lab = np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]])
    return defects.Frame(sample_from_lab, symmetric_orientation(cell, hkl, x_axis), width)


def _defects(kind: str, table: Keys, frame: defects.Frame, cell: Section) -> list[Section]:
    if kind == "centered":
        return defects.centered(table)
    if kind == "wall":
        return defects.wall(table, frame)
    if kind == "gnb":
        return defects.boundary(table)
    simple = cell.get("material") == "Al" and "slip_systems" not in cell
    return defects.random_dislocations(table, frame, simple)


def _output(keys: Keys) -> Section:
    io, after = keys.table("io"), keys.table("postprocess")
    output = {"perfect_crystal": io.flag("include_perfect_crystal", True)}
    asked = "write_strain_provenance" in io
    if io.flag("write_strain_provenance", True) and asked:
        output["field"] = True
        io.notes.change(
            "io.write_strain_provenance: output.field, the deformation q of every pixel instead of "
            "a tensor for every point"
        )
    io.ignore("one file has everything, weakbeam.h5", "fn_prefix", "ftype", "dislocs_dirname")
    io.ignore("its frames stand beside the others, in weakbeam.h5", "perfect_dirname")
    io.ignore("it belongs to the run: --workers N", "max_workers")
    io.finish()
    output["figures"] = after.flag("enabled", True)
    after.ignore(
        "maps are sums over the frames, without interpolation",
        "chi_oversample",
        "phi_oversample",
        "chi_oversample_for_shift",
    )
    after.ignore("figures go to the folder figures, maps into the file", "figures_dirname")
    after.ignore("maps go into the file", "data_dirname")
    after.finish()
    return output


def _new_physics(notes: Notes) -> None:
    notes.change(
        "projection: the points of a pixel lie along the diffracted beam, and rows are exactly one "
        "pixel apart; in dfxm-geo along the vertical, and 0.4 % more at 510 columns"
    )
    notes.change(
        "dislocations: |b| follows from the cell (dfxm-geo: 0.2862 nm for FCC), and fields are "
        "finite within a core of that radius"
    )


def _reproduce(tree: Section, oblique: bool, notes: Notes) -> None:
    if oblique:
        raise InputError(
            "geometry.mode", "oblique", "cannot be reproduced; dfxm-geo leaves the lines behind"
        )
    tree["compatibility"] = {"dfxm_geo_projection": True}
    tree["crystal"]["core_radius_nm"] = 0.0
    columns, oversampling = tree["camera"]["pixels"][1], tree["camera"]["oversampling"]
    tree["camera"]["depth_samples"] = columns // 30 * oversampling
    for defect in tree["defects"]:
        if "burgers" in defect:
            defect["burgers_nm"] = BURGERS_NM
    notes.change("projection, |b| and cores: those of dfxm-geo (compatibility.dfxm_geo_projection)")


def _blocks(tree: Section) -> list[str]:
    """Return the lines of a TOML file."""
    lines: list[str] = []
    for name, value in tree.items():
        if isinstance(value, list):
            for entry in value:
                lines += [f"[[{name}]]", *_pairs(entry), ""]
            continue
        nested = {k: v for k, v in value.items() if name == "scan" and isinstance(v, dict)}
        plain = {k: v for k, v in value.items() if k not in nested}
        if plain or not nested:
            lines += [f"[{name}]", *_pairs(plain), ""]
        for key, inner in nested.items():
            lines += [f"[{name}.{key}]", *_pairs(inner), ""]
    return lines


def _pairs(table: Section) -> list[str]:
    return [f"{key} = {toml_value(value)}" for key, value in table.items()]
