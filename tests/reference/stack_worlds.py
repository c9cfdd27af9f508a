"""Stacks of worlds that share no code with the package, and the experiment that is told of them."""

from dataclasses import replace

import numpy as np
from measured_world import World, counted
from reference_cases import DEFAULT

from weakbeam.experiment import Experiment
from weakbeam.fit.observation import Noise
from weakbeam.fit.stack_data import FramesInMemory, StackData
from weakbeam.identify.library.candidates import types_of
from weakbeam.run.render import Renderer

FWHM = 2.354820045


def world_of(shape, pixel_um, **optics):
    """A world without anything that a model is not told, and without lines.

    With fewer points a pixel its own roughness moves lines by more than noise does.
    """
    more = {"lines": [], "shape": list(shape), "pixel": pixel_um, "nz": 81}
    return World(optics=DEFAULT | more | optics, counts=2000.0, subpixels=4)


def experiment_of(world, **tables):
    """Its crystal and instrument, as an experiment."""
    p = world.optics
    return Experiment.model_validate(
        {
            "crystal": {"material": "Al"},
            "beam": {
                "energy_keV": p["energy"],
                "height_fwhm_um": p["beam_fwhm"],
                "bandwidth_rms": p["bandwidth"],
                "divergence_vertical_fwhm_mrad": 1e3 * p["zeta_v"] * FWHM,
                "divergence_vertical_clip_mrad": 1e3 * p["clip"],
            },
            "objective": {
                "acceptance_fwhm_mrad": 1e3 * p["acceptance"] * FWHM,
                "aperture_mrad": 1e3 * p["aperture"],
            },
            "camera": {"pixels": tuple(p["shape"]), "pixel_nm": 1e3 * p["pixel"]},
            "reflection": {"hkl": tuple(p["hkl"]), "x_axis": tuple(p["x_axis"])},
            **tables,
        }
    )


def phi_scan(frames, half=3e-4):
    """Positions of φ, χ and 2θ of a rocking scan."""
    phi = np.linspace(-half, half, frames)
    return np.stack([phi, 0 * phi, 0 * phi], axis=1)


def stack_of(world, positions, seed, good=None):
    """Its frames with what is known of the camera."""
    frames = counted(world, positions, seed)
    known = np.ones(frames.shape[1:], bool) if good is None else good
    noise = Noise(world.gain, world.read_sigma**2 + 1 / 12)
    return StackData(FramesInMemory(frames), positions, noise, known, full=world.full)


def with_lines(world, lines):
    """The world with lines of given types through given points (µm, sample frame)."""
    own = [
        {"b_um": np.array(kind.burgers_vector), "t": list(kind.line), "position_um": list(point)}
        for kind, point in lines
    ]
    return replace(world, optics=world.optics | {"lines": own})


def with_loops(world, loops):
    """The world with loops too: types, centres (µm, sample frame) and radii (µm)."""
    own = [
        {
            "b_um": np.array(kind.burgers_vector),
            "normal": list(kind.normal),
            "radius_um": radius,
            "position_um": list(point),
        }
        for kind, point, radius in loops
    ]
    return replace(world, optics=world.optics | {"lines": [*world.optics["lines"], *own]})


def with_wall(world, kind, point, spacing_um, count):
    """The world with a wall too: so many lines of a type, above each other across their plane."""
    from weakbeam.fit.fitted_wall import normal_of

    own = {
        "b_um": np.array(kind.burgers_vector),
        "t": list(kind.line),
        "position_um": list(point),
        "step_um": spacing_um * normal_of(kind),
        "count": count,
    }
    return replace(world, optics=world.optics | {"lines": [*world.optics["lines"], own]})


def with_nuisances(world, random):
    """The world with what a model is not told, about as at a beamline."""
    turns = random.uniform(0, 2 * np.pi, 2)
    return replace(
        world,
        offsets=tuple(random.normal(0, 10e-6, 3)),
        bend_rock=(0, *(5e-6 * np.array([np.cos(turns[0]), np.sin(turns[0])]))),
        bend_roll=(0, *(5e-6 * np.array([np.cos(turns[1]), np.sin(turns[1])]))),
        illumination=(1, *random.uniform(-0.2, 0.2, 2)),
        background=(20, *random.uniform(-8, 8, 2)),
        blur_px=1.0,
        hot=3,
        dead=3,
    )


def invisible(kind, world):
    """Whether a reflection does not see a line at all: g b = 0 and g (b x t) = 0."""
    g, b, t = np.array(world.optics["hkl"]), np.array(kind.burgers_vector), np.array(kind.line)
    return abs(g @ b) + abs(g @ np.cross(b, t)) < 1e-6 * np.linalg.norm(g) * np.linalg.norm(b)


def drawn(number, shape, pixel_um, most=4, count=None, apart_um=1.0, **tables):
    """A world with nuisances and some lines of random types at random places.

    Returns
    -------
    world, experiment
    lines : list of (DislocationType, (3,) ndarray)
        Which the reflection shows; they cross the middle of the beam in the inner 80 % of the
        field, apart from each other.
    """
    random = np.random.default_rng(number)
    world = world_of(shape, pixel_um)
    experiment = experiment_of(world, **tables)
    types = types_of(experiment)
    row, column = Renderer(experiment, 1).pixel_steps()
    wanted = int(random.integers(0, most + 1)) if count is None else count
    lines = []
    while len(lines) < wanted:
        kind = types[int(random.integers(len(types)))]
        if invisible(kind, world):
            continue
        i, j = random.uniform(-0.4, 0.4, 2) * shape
        point = i * row + j * column
        if all(np.linalg.norm(point - other) >= apart_um for _, other in lines):
            lines.append((kind, point))
    world = with_nuisances(with_lines(world, lines), random)
    return world, experiment, lines
