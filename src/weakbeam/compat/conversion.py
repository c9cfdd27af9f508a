"""From a TOML file of dfxm-geo, 2.x or 3.x, to an experiment."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weakbeam.compat import crystal, defects, optics
from weakbeam.compat.identification import (
    CRYSTAL_KEYS,
    MODES,
    heights_of,
    identify_section,
    is_identification,
)
from weakbeam.compat.keys import Keys, Notes
from weakbeam.compat.scan import scan_of
from weakbeam.compat.text import toml_of
from weakbeam.crystal.lattice import UnitCell
from weakbeam.crystal.orientation import symmetric_orientation
from weakbeam.diffraction.geometry import symmetric_geometry
from weakbeam.diffraction.reflection import bragg_angle
from weakbeam.errors import InputError, naming

if TYPE_CHECKING:
    from weakbeam.experiment import Experiment

Section = dict[str, Any]

BURGERS_NM = 0.2862
"""Length (nm) of every Burgers vector of FCC in dfxm-geo."""

_TOP = {"reciprocal", "geometry", "io", "postprocess", "detector", "detector_geometry", "noise"}
_TOP |= {"reflections_auto", "multi", "zscan", "mode"}
_CRYSTAL = {"mode", *defects.MODES, "lattice", "a", "mount_x", "slip_system", "structure_type"}
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
    mount: str
    """Planes along x, y and z of the laboratory, as ``weakbeam reflections --mount`` takes them."""
    kernel: Section
    """Rays and grid of a kernel, if asked for, named like the options of ``weakbeam bootstrap``."""

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
        return toml_of(self.tree)

    def toml_in(self, folder: Path) -> str:
        """The same as it stands in a folder, from which names of files count there."""
        crystal = self.tree["crystal"]
        if "cif" not in crystal or os.path.isabs(crystal["cif"]):
            return self.toml
        cif = Path(os.path.relpath(crystal["cif"], folder)).as_posix()
        return toml_of(self.tree | {"crystal": crystal | {"cif": cif}})


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
        or bool((_CRYSTAL | CRYSTAL_KEYS) & set(tables.get("crystal", {})))
        or "two_dtheta" in scan
        or any(_AXIS & set(axis) for axis in axes)
    )


def convert(
    data: Mapping[str, Any],
    *,
    reproduce: bool = False,
    folder: Path | None = None,
    identify: bool | None = None,
    kernel: bool = False,
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
    identify : bool, optional
        Whether it is one for dfxm-identify; told by its keys unless given.
    kernel : bool
        Whether the grid of a kernel is wanted.

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
    identify = is_identification(data) if identify is None else identify
    reciprocal, table = keys.table("reciprocal"), keys.table("crystal")
    geometry = keys.table("geometry")
    oblique = geometry.choice("mode", "simplified", ("simplified", "oblique")) == "oblique"
    layout = defects.Layout.of(table, identify)
    mount = crystal.mount_of(table, oblique)
    lattice_a = reciprocal.positive("lattice_a", crystal.ALUMINIUM_A)
    hkl = reciprocal.indices("hkl", crystal.MOUNTED)

    tree: Section = {"crystal": crystal.crystal_section(table, lattice_a, folder)}
    tree["beam"] = optics.beam_of(reciprocal)
    if oblique:
        tree["crystal"]["mount"] = mount
        tree |= _oblique_reflections(keys, reciprocal, geometry, hkl, tree)
    else:
        geometry.ignore("eta is 0 in the symmetric geometry", "eta", "omega", "theta_validated")
        reciprocal.ignore("eta is 0 in the symmetric geometry", "eta")
        reflection, x_axis = crystal.symmetric_reflection(hkl, layout.remount, notes)
        tree["reflection"], tree["crystal"]["x_axis"] = reflection, x_axis
    geometry.finish()
    tree["objective"] = optics.objective_of(reciprocal, notes)
    tree["camera"] = _camera(keys, reciprocal, notes)
    grid = optics.kernel_of(reciprocal, kernel)
    reciprocal.finish()
    mode = keys.choice("mode", "single", MODES) if identify else ""
    if identify:
        camera = tree["camera"]
        seed = camera.get("seed", 0)
        tree["identify"] = identify_section(keys, mode, table, camera["model"] != "ideal", seed)
    else:
        tree["defects"] = layout.defects(_frame(tree, oblique), tree["crystal"])
    table.finish()
    scan = scan_of(keys.table("scan"), notes, degrees=mode == "z-scan")
    if identify and (heights := heights_of(keys, mode, tree["identify"])):
        scan["z"] = heights
    if scan:
        tree["scan"] = scan
    tree["output"] = _output(keys, identify)
    if reproduce:
        _reproduce(tree, oblique, notes)
    else:
        _new_physics(notes)
    keys.finish()
    return Conversion(tree, notes, "; ".join(" ".join(map(str, row)) for row in mount), grid)


def _camera(keys: Keys, reciprocal: Keys, notes: Notes) -> Section:
    old = "noise" in keys
    if old:
        noise = keys.table("noise")
        reason = 'camera.model = "pco_edge" makes counts; its noise is measured, not only Poisson'
        noise.ignore(reason, "poisson_noise", "rng_seed", "intensity_scale")
        noise.finish()
    camera = optics.geometry_of_camera(keys.table("detector_geometry"), notes)
    camera |= optics.detector_of(keys.table("detector"), old, notes)
    if blur := reciprocal.number("dphi_range", 0.0):
        camera["phi_blur_mrad"] = optics.rounded(1e3 * blur)
    return camera


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
        reflections = crystal.group_at(auto.number("eta_target"), theta_max, hkl_max, setup)
        auto.ignore(f"{crystal.ETA_TOLERANCE:g} rad is used", "eta_tol")
        auto.finish()
        return {"reflections": reflections}
    if not given:
        if eta is None:
            reciprocal.notes.change("geometry.eta: not given, so that the smaller omega is taken")
        return {"reflection": crystal.oblique_reflection(hkl, eta, setup)}
    reflections = []
    for entry in given:
        indices = entry.indices("hkl")
        azimuth = entry.number_or_none("eta")
        entry.ignore("all reflections share reciprocal.keV", "keV")
        entry.ignore("solved from hkl, keV and the mount", "omega", "theta")
        entry.finish()
        reflections.append(crystal.oblique_reflection(indices, azimuth, setup))
    return {"reflections": reflections}


def _frame(tree: Section, oblique: bool) -> defects.Frame:
    camera = tree["camera"]
    if "pixel_nm" in camera:
        pixel = 1e-3 * camera["pixel_nm"]
    else:
        pixel = camera["camera_pixel_um"] / camera["magnification"]
    width = float(camera["pixels"][1] * pixel)
    if oblique:
        return defects.Frame(None, None, width)
    given = tree["crystal"].get("cell")
    with naming("crystal.lattice", None):
        cell = UnitCell(**given) if given else UnitCell.cubic(1e10 * crystal.ALUMINIUM_A)
    hkl, x_axis = tree["reflection"]["hkl"], tree["crystal"]["x_axis"]
    try:
        theta = bragg_angle(float(cell.d_spacing(hkl)), tree["beam"]["energy_keV"])
    except ValueError as error:
        raise InputError("reciprocal.hkl", hkl, str(error)) from None
    sample_from_lab = symmetric_geometry(theta).lab_from_sample.T
    return defects.Frame(sample_from_lab, symmetric_orientation(cell, hkl, x_axis), width)


def _output(keys: Keys, identify: bool) -> Section:
    io, after = keys.table("io"), keys.table("postprocess")
    output: Section = {"perfect_crystal": io.flag("include_perfect_crystal", True)}
    if identify:
        output = {}
    asked = "write_strain_provenance" in io
    if io.flag("write_strain_provenance", True) and asked and not identify:
        output["field"] = True
        io.notes.restate(
            "io.write_strain_provenance: output.field, the deformation q of every pixel instead of "
            "a tensor for every point"
        )
    io.ignore("one file has everything, weakbeam.h5", "fn_prefix", "ftype", "dislocs_dirname")
    io.ignore("its frames stand beside the others, in weakbeam.h5", "perfect_dirname")
    io.ignore("it belongs to the run: `workers` N", "max_workers")
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
    count = 1 if oversampling == "point" else oversampling
    tree["camera"]["depth_samples"] = columns // 30 * count
    for defect in tree.get("defects", ()):
        if "burgers" in defect:
            defect["burgers_nm"] = BURGERS_NM
    notes.change("projection, |b| and cores: those of dfxm-geo (compatibility.dfxm_geo_projection)")
