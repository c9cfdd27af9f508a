"""Experiments drawn at random, for the property tests of every room.

`experiments` draws what can be simulated: a known crystal, a reflection that is there and
reachable, Burgers vectors of its slip systems, stops that let something through, small cameras and
short scans. `descriptions` draws
whatever the experiment file accepts, up to the limits of every key.
"""

from __future__ import annotations

import math

import numpy as np
from defect_strategies import (
    any_population,
    boundaries,
    curves,
    line_tables,
    populations,
    uniform,
    walls,
)
from hypothesis import strategies as st

from weakbeam.crystal.materials import MATERIALS, Material
from weakbeam.crystal.slip import SlipSystem, slip_systems
from weakbeam.experiment import (
    Acceptance,
    AllReflections,
    AngleAxis,
    Beam,
    Camera,
    Cell,
    CentralStop,
    Crystal,
    Dislocation,
    Experiment,
    HeightAxis,
    KnifeEdge,
    Lens,
    Objective,
    Output,
    Reflection,
    RoundAperture,
    Scan,
    SpectralLine,
    SquareAperture,
    Wire,
)
from weakbeam.experiment.defects import DefectTable
from weakbeam.experiment.presets import preset_names

REFLECTIONS = {
    "fcc": [(1, 1, 1), (-1, 1, -1), (0, 0, 2), (2, 2, 0), (1, -1, 3)],
    "bcc": [(1, 1, 0), (0, -1, 1), (0, 0, 2), (2, 1, 1)],
    "hcp": [(0, 0, 2), (1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 0, -2)],
    "diamond": [(1, 1, 1), (2, -2, 0), (0, 0, 4), (1, 1, 3)],
    "zincblende": [(1, 1, 1), (2, -2, 0), (0, 0, 4), (0, 0, 2)],
    "wurtzite": [(0, 0, 2), (1, 0, 0), (1, 0, 1), (1, 1, 0)],
}
"""Reflections of each structure that are present, with 2theta below 90 degrees from 12 keV up."""


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    """Draw ordinary numbers: no zero-like tiny ones unless `low` is one."""
    return st.floats(low, high, allow_subnormal=False)


def either_sign(size: float) -> st.SearchStrategy[float]:
    """Draw 0, or a number of at most `size` that is not tiny."""
    return st.just(0.0) | floats(size * 1e-3, size) | floats(-size, -size * 1e-3)


# --- what can be simulated -----------------------------------------------------------------------


turns = st.tuples(*[floats(-1.0, 1.0)] * 4).filter(lambda q: math.hypot(*q) > 0.1)


@st.composite
def crystals_with_reflection(
    draw: st.DrawFn, material: Material, hkl: tuple[int, int, int]
) -> Crystal:
    """Draw a mount of a material whose x axis lies in the planes of the reflection."""
    indices = st.integers(-3, 3)
    across = st.tuples(indices, indices, indices)
    x_axis = draw(across.map(lambda n: tuple(np.cross(hkl, n).tolist())).filter(any))
    return Crystal(
        material=material.name,
        poisson_ratio=draw(st.none() | floats(0.0, 0.49)),
        elasticity=draw(st.sampled_from(("isotropic", "anisotropic"))),
        core_radius_nm=draw(st.none() | st.just(0.0) | floats(0.05, 5.0)),
        x_axis=x_axis,
    )


@st.composite
def reflections(draw: st.DrawFn, hkl: tuple[int, int, int], on_a_mount: bool) -> Reflection:
    """Draw how a reflection is brought to diffract."""
    if not on_a_mount:
        return Reflection(hkl=hkl)
    solution = draw(st.sampled_from([None, 1, 2]))
    if draw(st.booleans()):
        return Reflection(hkl=hkl, geometry="oblique", solution=solution)
    tilt = st.none() | either_sign(20.0)
    tilts = {key: draw(tilt) for key in ("mu_deg", "chi_deg", "phi_deg")}
    return Reflection(hkl=hkl, geometry="goniometer", solution=solution, **tilts)


@st.composite
def dislocations(draw: st.DrawFn, systems: list[SlipSystem]) -> Dislocation:
    """Draw a dislocation: by its character, or by a line in its plane, or by any line."""
    plane, burgers = draw(st.sampled_from(systems))
    if draw(st.booleans()):
        burgers = (-burgers[0], -burgers[1], -burgers[2])
    length = draw(st.none() | floats(0.1, 1.0))
    given: dict[str, object] = {
        "burgers": burgers,
        "burgers_nm": length,
        "partial": None if length is None else True,
        "position_um": draw(st.tuples(*[either_sign(5.0)] * 3)),
    }
    form = draw(st.sampled_from(["character", "angle", "line in the plane", "any line"]))
    if form == "character":
        given |= {"plane": plane, "character_deg": draw(either_sign(180.0))}
    elif form == "angle":
        given |= {"plane": plane, "angle_deg": draw(either_sign(180.0))}
    elif form == "line in the plane":
        given |= {"plane": plane, "line": draw(lines_in_plane(plane))}
    else:
        n = st.integers(-4, 4)
        given |= {"line": draw(st.tuples(n, n, n).filter(any))}
    return Dislocation.model_validate(given)


@st.composite
def defects(draw: st.DrawFn, systems: list[SlipSystem], structure: str) -> tuple[DefectTable, ...]:
    """Draw up to three defects: dislocations mostly, and one of the other kinds."""
    single = draw(st.lists(dislocations(systems), max_size=2))
    kinds = ["dislocation", "none", "wall", "random", "boundary", "uniform", "curve"]
    kind = draw(st.sampled_from(kinds))
    if kind == "uniform":
        return (*single, draw(uniform))
    if kind == "curve":
        return (*single, draw(curves(draw(dislocations(systems)))))
    if kind == "wall":
        return (*single, draw(walls(draw(dislocations(systems)))))
    if kind == "random":
        return (draw(populations()), *single)
    if kind == "boundary":
        return (*single, draw(boundaries(structure)))
    return (*single, *([draw(dislocations(systems))] if kind == "dislocation" else []))


@st.composite
def lines_in_plane(draw: st.DrawFn, plane: tuple[int, int, int]) -> tuple[int, int, int]:
    """Draw a direction [uvw] with hu + kv + lw = 0."""
    h, k, l_index = plane
    spanning = np.array([(k, -h, 0), (0, l_index, -k), (l_index, 0, -h)])
    n = st.integers(-2, 2)
    weights = st.tuples(n, n, n).filter(lambda w: bool(np.any(np.array(w) @ spanning)))
    u, v, w = (int(x) for x in np.array(draw(weights)) @ spanning)
    return u, v, w


@st.composite
def beams(draw: st.DrawFn) -> Beam:
    """Draw a beam from an undulator with a crystal monochromator to a pink one."""
    given = {
        "energy_keV": draw(floats(12.0, 40.0)),
        "divergence_vertical_fwhm_mrad": draw(floats(0.02, 2.0)),
        "divergence_vertical_profile": draw(st.sampled_from(["gaussian", "uniform"])),
        "divergence_vertical_clip_mrad": draw(st.just(math.inf) | floats(0.02, 2.0)),
        "divergence_horizontal_fwhm_mrad": draw(st.just(0.0) | floats(0.001, 1.0)),
        "height_fwhm_um": draw(floats(0.05, 5.0)),
    }
    if draw(st.booleans()):
        given["bandwidth_rms"] = draw(floats(1e-5, 1e-2))
    else:
        # One line is at the energy itself, so that the Bragg setting is not dark.
        line = {"weight": draw(floats(0.1, 10.0)), "rms": draw(floats(1e-5, 1e-2))}
        given["spectrum"] = [line, *draw(st.lists(spectral_lines, max_size=2))]
    profile = draw(st.sampled_from(["gaussian", "box", "tabulated"]))
    if profile == "tabulated":
        given |= draw(tables())
    return Beam.model_validate(given | {"profile": profile})


spectral_lines = st.builds(
    SpectralLine,
    weight=floats(0.1, 10.0),
    center=either_sign(5e-3),
    rms=floats(1e-5, 1e-2),
)


@st.composite
def tables(draw: st.DrawFn) -> dict[str, object]:
    """Draw a tabulated profile, a few micrometres high."""
    count = draw(st.integers(2, 6))
    steps = draw(st.lists(floats(0.01, 1.0), min_size=count, max_size=count))
    heights = np.cumsum(steps) - draw(floats(0.0, 3.0))
    values = st.lists(st.just(0.0) | floats(0.01, 1e3), min_size=count, max_size=count)
    return {"profile_um": [*heights.tolist()], "profile_intensity": draw(values.filter(any))}


ID06_FOCAL_LENGTH_UM = 266.24e3
"""Of the lens at 17 keV, by which the stops of experiments without a lens are measured."""

LENSES = [
    Lens(lenslets=88, radius_um=50.0, pitch_mm=1.6, magnification=10.0),
    Lens(lenslets=60, radius_um=50.0, pitch_mm=2.0, material="Al", web_um=20.0, distance_m=2.0),
]
"""Lenses that work from 12 to 40 keV."""


@st.composite
def objectives(draw: st.DrawFn, energy: float = 17.0) -> Objective:
    """Draw an objective: with or without aperture, lens and stop.

    Stops are drawn such that the lens at the photon energy (keV) is larger and something passes.
    """
    aperture = draw(floats(0.1, 5.0))
    given: dict[str, object] = {
        "acceptance_fwhm_mrad": draw(floats(0.2, 2.0)),
        "aperture_mrad": draw(st.sampled_from([math.inf, aperture])),
    }
    # Half of what the aperture and one standard deviation of the acceptance leave open, in um.
    scale = ID06_FOCAL_LENGTH_UM * (energy / 17.0) ** 2
    size = 0.5e-3 * min(aperture, given["acceptance_fwhm_mrad"] / 2.4) * scale
    if draw(st.booleans()):
        given |= {"stop": draw(stops(size))}
    elif draw(st.booleans()):
        given = {"lens": draw(st.sampled_from(LENSES))}
    return Objective.model_validate(given)


def stops(size: float) -> st.SearchStrategy[object]:
    """Draw a stop that blocks less than `size` (um) to either side of the axis, or passes more."""
    axis = st.sampled_from(["two_theta", "roll"])
    width = floats(0.02 * size, 2.0 * size)
    return st.one_of(
        st.builds(SquareAperture, size_um=width),
        st.builds(RoundAperture, diameter_um=width),
        st.builds(CentralStop, size_um=width),
        st.builds(
            KnifeEdge,
            position_um=either_sign(size),
            side=st.sampled_from(["above", "below"]),
            axis=axis,
        ),
        st.builds(
            Wire,
            diameter_um=width,
            position_um=either_sign(size),
            axis=axis,
            material=st.sampled_from(["W", "Au", "Al", "Be"]),
        ),
    )


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    """Draw a camera of at most 12 x 12 pixels, and 18 x 18 of their parts."""
    binning, turned = draw(st.sampled_from([1, 1, 2, 3])), draw(st.sampled_from([0, 90, 180, 270]))
    oversampling = draw(st.integers(1, 3))
    most = min(12, 18 // oversampling) // binning
    rows, columns = draw(st.tuples(*[st.integers(1, most)] * 2))
    given = {
        "pixels": (binning * rows, binning * columns),
        "plane": draw(st.sampled_from(["vertical", "normal"])),
        "oversampling": oversampling,
        "depth_samples": draw(st.just("auto") | st.integers(1, 15)),
        "psf_px": draw(st.none() | floats(0.1, 3.0)),
        "rotation_deg": turned,
        "binning": binning,
        "model": draw(st.sampled_from(["ideal", "pco_edge"])),
        "exposure_s": draw(floats(0.01, 10.0)),
        draw(st.sampled_from(["counts_per_s", "photons_per_s"])): draw(floats(1.0, 1e5)),
        "transmission": draw(floats(1e-3, 1.0)),
        "seed": draw(st.integers(0, 2**32)),
    }
    if draw(st.booleans()):
        height, width = (columns, rows) if turned in (90, 270) else (rows, columns)
        row, column = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
        size = draw(st.integers(1, height - row)), draw(st.integers(1, width - column))
        given["region"] = (row, column, *size)
    if draw(st.booleans()):
        given["pixel_nm"] = draw(floats(20.0, 500.0))
    else:
        given |= {
            "camera_pixel_um": draw(floats(0.5, 10.0)),
            "magnification": draw(floats(10.0, 200.0)),
        }
    return Camera.model_validate(given)


@st.composite
def axes(draw: st.DrawFn, unit: str, size: float) -> AngleAxis | HeightAxis:
    """Draw a standing motor, a range or a list of at most three positions."""
    forms = {
        "value": {f"value_{unit}": either_sign(size)},
        "range": {f"half_range_{unit}": floats(size * 1e-3, size), "steps": st.integers(1, 3)},
        "values": {f"values_{unit}": st.lists(either_sign(size), min_size=1, max_size=3)},
    }
    form = draw(st.sampled_from(sorted(forms)))
    given = {key: draw(strategy) for key, strategy in forms[form].items()}
    if form == "range" and draw(st.booleans()):
        given[f"center_{unit}"] = draw(either_sign(size))
    return (AngleAxis if unit == "mrad" else HeightAxis).model_validate(given)


@st.composite
def scans(draw: st.DrawFn) -> Scan:
    """Draw a scan over any of the four motors, about as wide as their curves."""
    sizes = {"phi": ("mrad", 0.6), "chi": ("mrad", 2.5), "two_theta": ("mrad", 1.5), "z": ("um", 2)}
    moved = draw(st.sets(st.sampled_from(sorted(sizes))))
    return Scan.model_validate({name: draw(axes(*sizes[name])) for name in sorted(moved)})


@st.composite
def outputs(draw: st.DrawFn) -> Output:
    """Draw what is written; without figures, and readable without a plug-in."""
    return Output(
        perfect_crystal=draw(st.booleans()),
        field=draw(st.booleans()),
        compression=draw(st.sampled_from(["gzip", "none"])),
        layout=draw(st.sampled_from(["single", "bliss"])),
        figures=False,
    )


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """Draw an experiment that can be simulated in a moment."""
    material = draw(st.sampled_from([m for m in MATERIALS.values() if m.structure is not None]))
    hkl = draw(st.sampled_from(REFLECTIONS[material.structure]))
    systems = slip_systems(material.structure)
    beam = draw(beams())
    preset = draw(st.sampled_from(preset_names()))
    crystal = draw(crystals_with_reflection(material, hkl))
    on_a_mount = preset == "id06-oblique" or draw(st.booleans())
    if on_a_mount:
        crystal = crystal.model_copy(update={"quaternion": draw(turns)})
    if on_a_mount:
        # The horizontal angles are summed there, a hundred or so: too slow for so many images.
        beam = beam.model_copy(update={"divergence_horizontal_fwhm_mrad": 0.0})
    chosen = {"reflection": draw(reflections(hkl, on_a_mount))}
    if draw(st.integers(0, 3)) == 0:
        other = draw(st.sampled_from(REFLECTIONS[material.structure]))
        second = draw(reflections(other, on_a_mount))
        chosen = {"reflections": (chosen["reflection"], second)}
    return Experiment(
        preset=preset,
        crystal=crystal,
        **chosen,
        beam=beam,
        objective=draw(objectives(beam.energy_keV)),
        camera=draw(cameras()),
        defects=draw(defects(systems, material.structure)),
        scan=draw(scans()),
        output=draw(outputs()),
    )


# --- whatever the file accepts -------------------------------------------------------------------

indices = st.tuples(*[st.integers(-99, 99)] * 3).filter(any)
rows = st.tuples(*[st.floats(-1000, 1000)] * 3)
angles_deg = st.tuples(*[st.floats(-360, 360)] * 3)
orientations = st.one_of(
    st.fixed_dictionaries({"x_axis": indices}),
    st.fixed_dictionaries({"mount": st.tuples(indices, indices, indices)}),
    st.fixed_dictionaries({"ub": st.tuples(rows, rows, rows)}),
    st.fixed_dictionaries({"euler_deg": angles_deg}),
    st.fixed_dictionaries({"quaternion": st.tuples(*[st.floats(-1000, 1000)] * 4).filter(any)}),
)
positions = st.tuples(*[st.floats(-1e6, 1e6)] * 3)
words = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=80)


@st.composite
def any_reflection(draw: st.DrawFn) -> Reflection:
    """Draw any reflection that the models accept."""
    hkl, angle = draw(indices), st.none() | st.floats(-90, 90)
    solution = st.sampled_from([None, 1, 2])
    geometry = draw(st.sampled_from(["symmetric", "oblique", "goniometer"]))
    given: dict[str, object] = {}
    if geometry == "symmetric":
        given = {"x_axis": draw(st.none() | indices)}
    elif geometry == "oblique":
        given = {"solution": draw(solution)}
    else:
        given = {key: draw(angle) for key in ("mu_deg", "omega_deg", "chi_deg", "phi_deg")}
        if given["omega_deg"] is None:
            given["solution"] = draw(solution)
    return Reflection(hkl=hkl, geometry=geometry, **given)


@st.composite
def any_reflections(draw: st.DrawFn) -> dict[str, object]:
    """Draw one reflection, or several, or a choice of them, under its key."""
    form = draw(st.sampled_from(["reflection", "reflections", "all_reflections"]))
    if form == "reflection":
        return {form: draw(any_reflection())}
    if form == "reflections":
        return {form: tuple(draw(st.lists(any_reflection(), min_size=1, max_size=3)))}
    solutions = draw(st.sampled_from(["one", "both"]))
    if draw(st.booleans()):
        return {form: AllReflections(in_group_of=draw(indices), solutions=solutions)}
    theta = draw(st.floats(0, 45, exclude_min=True, exclude_max=True))
    return {form: AllReflections(theta_max_deg=theta, solutions=solutions)}


@st.composite
def descriptions(draw: st.DrawFn) -> Experiment:
    """Draw any experiment that the models accept, whether or not it makes sense."""
    edge, angle = st.floats(1.5, 1000), st.floats(60, 119)
    cell = draw(
        st.none()
        | st.builds(Cell, a=edge, b=edge, c=edge, alpha=angle, beta=angle, gamma=angle)
        | st.builds(Cell, a=edge, c=st.none() | edge, alpha=st.none() | angle)
    )
    ratio = st.floats(-1, 0.5, exclude_min=True, exclude_max=True)
    constants = st.floats(-1e5, 1e5)
    with_material = cell is None or draw(st.booleans())
    crystal = {
        "material": draw(words) if with_material else None,
        "cell": cell,
        "space_group": draw(st.none() | words if with_material else words),
        "poisson_ratio": draw(st.none() | ratio if with_material else ratio),
        "core_radius_nm": draw(st.none() | st.floats(0, 1e4)),
        "stiffness_GPa": (
            draw(
                st.none()
                | st.dictionaries(st.sampled_from(("c11", "c12", "c44")), constants, min_size=1)
            )
        ),
    } | draw(orientations)
    clip = st.floats(1e-3, 100) | st.just(math.inf)
    beam = {
        "energy_keV": draw(st.floats(1, 1000)),
        "bandwidth_rms": draw(st.floats(1e-6, 0.1)),
        "divergence_vertical_clip_mrad": draw(clip),
        "divergence_horizontal_fwhm_mrad": draw(st.floats(0, 100)),
    }
    objective = {
        "aperture_mrad": draw(clip),
        "vignetting": draw(st.booleans()),
        "lens": draw(st.none() | st.sampled_from(LENSES)),
        "stop": draw(st.none() | stops(1e4)),
    }
    acceptance = st.builds(
        Acceptance,
        rays=st.integers(1, 10**15),
        bins=st.tuples(*[st.integers(1, 10_000)] * 3),
        seed=st.integers(0, 2**63 - 1),
    )
    kernel = st.builds(Acceptance, method=st.just("kernel"), file=words)
    angles = st.floats(-1000, 1000)
    axis = st.one_of(
        st.builds(AngleAxis, value_mrad=angles),
        st.builds(AngleAxis, values_mrad=st.lists(angles, min_size=1, max_size=5).map(tuple)),
        st.builds(
            AngleAxis,
            half_range_mrad=st.floats(1e-9, 1000),
            steps=st.integers(1, 1_000_000),
            center_mrad=st.none() | angles,
        ),
    )
    by_line = st.builds(
        Dislocation,
        plane=st.none() | indices,
        burgers=indices,
        line=positions.filter(lambda v: max(map(abs, v)) >= 1e-6),
        position_um=positions,
    )
    by_character = st.builds(
        Dislocation,
        plane=indices,
        burgers=indices,
        burgers_nm=st.none() | st.floats(1e-3, 100),
        character_deg=st.floats(-360, 360),
    )
    return Experiment(
        preset=draw(st.sampled_from(preset_names())),
        crystal=Crystal.model_validate(crystal),
        **draw(any_reflections()),
        beam=Beam.model_validate(beam),
        objective=Objective.model_validate(objective),
        camera=draw(
            st.builds(Camera, pixel_nm=st.floats(0.1, 1e6), phi_blur_mrad=st.floats(0, 100))
            | cameras()
        ),
        defects=tuple(
            draw(
                st.lists(
                    by_line | by_character | any_population | uniform | line_tables, max_size=3
                )
            )
        ),
        scan=Scan(phi=draw(axis), chi=draw(axis)),
        acceptance=draw(acceptance | kernel),
        output=draw(outputs()),
    )
