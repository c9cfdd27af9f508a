"""Strategies that draw walls, populations and boundaries."""

from __future__ import annotations

from hypothesis import strategies as st

from weakbeam.experiment import (
    Boundary,
    BoundarySet,
    Dislocation,
    LineTable,
    Loop,
    Polyline,
    RandomDislocations,
    Uniform,
    Wall,
)

coordinates = st.floats(-5, 5)
positions = st.tuples(coordinates, coordinates, coordinates)
directions = st.sampled_from([(1.0, 0.0, 0.0), (0.0, 1.0, 1.0), (0.3, -0.2, 1.0)])
spacings = st.floats(0.05, 5)
AXES = ("sample", "crystal")


@st.composite
def walls(draw: st.DrawFn, line: Dislocation) -> Wall:
    """Draw a wall of copies of a dislocation."""
    given = line.model_dump(exclude_none=True) | {
        "kind": "wall",
        "spacing_um": draw(spacings),
        "count": draw(st.none() | st.integers(1, 10_000)),
        "order": draw(st.sampled_from(["one-sided", "bipolar", "dipole"])),
        "stacking": draw(st.sampled_from(["wall", "row"])),
    }
    if given["order"] == "dipole":
        given["dipole_offset_um"] = draw(directions)
    return Wall.model_validate(given)


@st.composite
def populations(draw: st.DrawFn) -> RandomDislocations:
    """Draw a random population of a few lines."""
    region = draw(st.sampled_from(["gaussian", "slab", "box"]))
    size = st.floats(0.5, 10)
    own = {
        "gaussian": {"sigma_um": st.none() | size, "depth_um": st.none() | size},
        "slab": {"width_um": st.none() | size, "depth_um": st.none() | size},
        "box": {"size_um": st.tuples(size, size, size)},
    }[region]
    return RandomDislocations(
        count=draw(st.integers(1, 80)),
        region=region,
        position_um=draw(positions),
        normal=draw(st.none() | directions) if region != "box" else None,
        character_deg=draw(st.none() | st.floats(-180, 180) | st.just((0.0, 60.0, 90.0))),
        excess=draw(st.floats(-1, 1)),
        minimum_distance_um=draw(st.sampled_from([0.0, 0.01])),
        seed=draw(st.integers(0, 2**63 - 1)),
        **{key: draw(value) for key, value in own.items()},
    )


@st.composite
def boundaries(draw: st.DrawFn, structure: str) -> Boundary:
    """Draw a boundary that its sets can make: a recipe, or a net of screws."""
    extent = draw(st.none() | st.floats(1, 100))
    if structure == "fcc":
        names = ["leds_eq11", "leds_eq14", "frankus"]
        angle = draw(st.floats(1e-3, 1))
        return Boundary(recipe=draw(st.sampled_from(names)), angle_deg=angle, extent_um=extent)
    screws = [(2, -1, -1, 0), (-1, 2, -1, 0)] if structure == "hcp" else [(1, 1, 1), (1, -1, 1)]
    normal = (0, 0, 0, 1) if structure == "hcp" else (1, 0, -1)
    return Boundary(
        normal=normal,
        axis=tuple(map(float, normal)),
        angle_deg=draw(st.floats(1e-3, 1)),
        sets=tuple(BoundarySet(burgers=b, line=tuple(map(float, b))) for b in screws),
        extent_um=extent,
        # Two sets of screws across each other at an angle leave some of the rotation over.
        tolerance=1.0,
    )


small = st.floats(-2e-4, 2e-4)
uniform = st.one_of(
    st.builds(Uniform, strain_voigt=st.tuples(*[small] * 6), axes=st.sampled_from(AXES)),
    st.builds(
        Uniform,
        rotation_mrad=st.tuples(*[st.floats(-0.2, 0.2)] * 3),
        strain=st.none()
        | st.builds(lambda x, y: ((x, y, 0.0), (y, x, 0.0), (0.0, 0.0, y)), small, small),
        axes=st.sampled_from(AXES),
    ),
)
"""Uniform deformations."""

corners = st.lists(positions, min_size=3, max_size=6, unique=True).map(tuple)


@st.composite
def curves(draw: st.DrawFn, line: Dislocation) -> Loop | Polyline:
    """Draw a loop or a bowed line with the Burgers vector of a dislocation."""
    keys = ("burgers", "burgers_nm", "burgers_fraction", "partial")
    given = {key: getattr(line, key) for key in keys if getattr(line, key) is not None}
    given["position_um"] = draw(positions)
    if draw(st.booleans()):
        shape = draw(st.sampled_from([{"normal": draw(directions)}, {"plane": line.plane}]))
        if None not in shape.values():
            size = {"radius_um": draw(st.floats(0.1, 5)), "segments": draw(st.integers(3, 30))}
            return Loop(**given, **shape, **size)
    ends = draw(st.sampled_from([{"closed": True}, {"ends": "straight"}]))
    return Polyline(**given, points_um=draw(corners), axes=draw(st.sampled_from(AXES)), **ends)


line_tables = st.builds(
    LineTable, file=st.just("lines.csv"), axes=st.sampled_from(AXES), partial=st.booleans()
)
"""Tables of lines, of which there need be no file."""

any_population = st.builds(
    RandomDislocations,
    count=st.integers(1, 1_000_000),
    sigma_um=st.none() | st.floats(1e-3, 1e6),
    depth_um=st.none() | st.floats(0, 1e6),
    position_um=st.tuples(*[st.floats(-1e6, 1e6)] * 3),
    weights=st.none() | st.lists(st.floats(0, 1e9), min_size=1, max_size=12).map(tuple),
    excess=st.floats(-1, 1),
    seed=st.integers(0, 2**63 - 1),
)
"""Populations that the models accept, whether or not they make sense."""
