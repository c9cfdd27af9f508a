"""Draws of measured pairs, one thing a time that no model is told, and whether a type is right.

FCC aluminium in (-1 1 -1), pairs at φ = ±0.15 mrad, 64 x 96 pixels of 40 nm, a beam 0.6 µm high:
random types between the steps of any library, random places, independent noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from measured_world import World, counted, theta_of, unit
from reference_cases import DEFAULT, B

SHAPE = (64, 96)
POSITIONS = np.array([[-0.15e-3, 0, 0], [0.15e-3, 0, 0]])
OPTICS = DEFAULT | {"aperture": 1.0323e-3, "beam_fwhm": 0.6, "nz": 61, "shape": list(SHAPE)}
PLANES = ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1))
BURGERS = ((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))
COPPER = {"cell": [3.6149, 3.6149, 3.6149, 90, 90, 90], "stiffness": (168.4, 121.4, 75.4)}
SMALL = (
    "none", "phi 5", "phi 10", "phi 20", "mosaic 2", "mosaic 5", "mosaic 10", "clip 10", "blur 2",
    "height 1.0", "light 40", "full 400", "several 1",
)  # fmt: skip
DOUBLE = ("phi 40", "clip 20", "blur 4", "several 2")
NEIGHBOURS = ("corner", "outside 0.5", "outside 2")
BENT_UM = (0.25, 0.75, 2.0)
"""Where along a bent line it turns, to either side of its middle (µm)."""


@dataclass(frozen=True)
class Draw:
    """A pair of images and what is on them."""

    counts: np.ndarray
    plane: tuple[int, int, int]
    burgers: tuple[int, int, int]
    character_deg: float
    place: np.ndarray


def line_of(plane: Any, burgers: Any, character_deg: float, cell: float = 2e4 * B) -> Any:
    """Burgers vector (µm) and direction of a line, crystal frame."""
    b = unit(burgers)
    edge, angle = np.cross(b, unit(plane)), np.radians(character_deg)
    direction = edge * np.cos(angle) + b * np.sin(angle)
    return cell * 1e-4 / 2 * np.array(burgers), direction


def in_sheet(row_um: float, column_um: float) -> np.ndarray:
    """What is seen so far from the middle of the image, at the height of the beam's middle."""
    theta = theta_of(OPTICS)
    x = row_um / np.tan(2 * theta)
    return np.array([np.cos(theta) * x, column_um, -np.sin(theta) * x])


def unknown(name: str, amount: float, random: np.random.Generator) -> tuple[dict, dict]:
    """What of the world and of its optics is not what the model is told."""

    def sign() -> float:
        return float(random.choice([-1, 1]))

    def bent(size: float) -> tuple[float, ...]:
        angle = random.uniform(0, 2 * np.pi)
        return 0.0, size * 1e-6 * np.cos(angle), size * 1e-6 * np.sin(angle)

    match name:
        case "phi":
            return {"offsets": (sign() * amount * 1e-6, 0.0, 0.0)}, {}
        case "mosaic":
            return {"bend_rock": bent(amount)}, {}
        case "clip":
            return {}, {"clip": 0.14e-3 * (1 + amount / 100)}
        case "blur":
            return {"blur_px": amount}, {}
        case "height":
            return {}, {"beam_fwhm": amount}
        case "light":
            return {"illumination": (1.0, sign() * amount / 100)}, {}
        case "full":
            return {"full": random.uniform(amount, 1.5 * amount)}, {}
        case "copper":
            return {}, dict(COPPER)
        case "turned":
            return {"turns": 2}, {}
        case "mirrored":
            return {"mirrored": True}, {}
        case "several":
            f = amount
            world = {
                "offsets": tuple(5e-6 * f * sign() for _ in range(3)),
                "bend_rock": bent(2 * f),
                "bend_roll": bent(2 * f),
                "blur_px": 0.7 * f,
                "illumination": (1.0, 0.15 * f * sign(), 0.1 * f * sign()),
                "background": (10.0 * f, 3.0 * f, -2.0 * f),
                "hot": 4,
                "dead": 3,
            }
            return world, {"clip": 0.14e-3 * (1 + 0.03 * f), "beam_fwhm": 0.6 * (1 + 0.12 * f)}
    return {}, {}


def draw(condition: str, seed: int) -> Draw:
    """One pair of a condition: a word, and an amount where it has one."""
    name, *rest = condition.split()
    amount = float(rest[0]) if rest else 0.0
    random = np.random.default_rng([seed, *condition.encode()])
    world, optics = unknown(name, amount, random)
    cell = float(optics.get("cell", OPTICS["cell"])[0])
    g = unit(OPTICS["hkl"])

    def some() -> tuple[Any, Any, float]:
        plane = PLANES[random.integers(4)]
        inside = [b for b in BURGERS if np.dot(b, plane) == 0]
        return plane, inside[random.integers(3)], float(random.uniform(0, 360))

    while True:
        plane, burgers, character = some()
        _, t = line_of(plane, burgers, character)
        b = unit(burgers)
        # One that is seen: by g·b, or by the displacement across the plane of an edge.
        if abs(g @ b) > 0.1 or (np.linalg.norm(b - (b @ t) * t) > 0.5 and abs(g @ t) < 0.9):
            break

    def placed(plane: Any, burgers: Any, character: float, place: np.ndarray) -> dict[str, Any]:
        b, t = line_of(plane, burgers, character, cell)
        line = {"b_um": b.tolist(), "t": t, "position_um": place.tolist()}
        if name == "bent":
            line["points_um"] = arc(t, np.cross(unit(plane), t), np.radians(amount))
        return line

    place = in_sheet(random.uniform(-0.2, 0.2), random.uniform(-0.3, 0.3))
    lines = [placed(plane, burgers, character, place)]
    if condition in NEIGHBOURS:
        high, wide = (0.02 * n for n in SHAPE)
        side, other = random.choice([-1, 1], 2)
        if name == "corner":
            where = side * (high - 0.2), other * (wide - 0.3)
        elif random.random() < 0.5:
            where = side * (high + amount), random.uniform(-wide, wide)
        else:
            where = random.uniform(-high, high), other * (wide + amount)
        lines.append(placed(*some(), in_sheet(*where)))
    made = replace(World(), optics=OPTICS | {"lines": lines} | optics, **world)
    counts = counted(made, POSITIONS, int(random.integers(2**31)))
    return Draw(counts, plane, burgers, character, place)


def arc(t: np.ndarray, side: np.ndarray, turn: float) -> np.ndarray:
    """Corners of a line along t at its middle that turns by an angle in all, towards a side."""
    corners, at, angle = [], np.zeros(3), 0.0
    for before, corner in pairwise((0.0, *BENT_UM)):
        at = at + (corner - before) * (np.cos(angle) * t + np.sin(angle) * side)
        angle += turn / 2 / len(BENT_UM)
        corners.append(at)
    along = [2 * (c @ t) * t for c in corners]
    return np.array([c - a for c, a in zip(corners[::-1], along[::-1], strict=True)] + corners)


def is_true(kind: Any, truth: Draw, opposite: bool = False) -> bool:
    """Whether a type is that of a draw, or its twin: the same but for what images do not show.

    (b, t) and (-b, -t) are one dislocation. A screw part along a line that is perpendicular to the
    diffraction vector leaves no trace.
    """
    b, t = line_of(kind.plane, kind.burgers, kind.character_deg)
    true_b, true_t = line_of(truth.plane, truth.burgers, truth.character_deg)
    if opposite:
        b = -b
    if np.allclose(b, -true_b):
        b, t = -b, -t
    if np.allclose(b, true_b):
        return bool(t @ true_t > np.cos(np.radians(7)))
    if abs(unit(OPTICS["hkl"]) @ true_t) > 0.1:
        return False
    for sign in (1, -1):
        u, v = sign * b, sign * t
        across = u - (u @ v) * v - (true_b - (true_b @ true_t) * true_t)
        near = np.linalg.norm(across) < 0.15 * np.linalg.norm(true_b)
        if near and v @ true_t > np.cos(np.radians(5)):
            return True
    return False


def pulls(found: Any, truth: Draw, renderer: Any) -> np.ndarray:
    """Errors of both coordinates of the best candidate's place, in stated ones.

    The sheet's rays are those of the package's renderer here: they say what a pixel is, no more.
    """
    from weakbeam.fit.line_place import place_of

    kind, fit = found.best.refinement.type, found.best.refinement
    line = renderer.lines_of(kind.plane, kind.burgers, kind.character_deg).lines[0]
    _, at = place_of(line, truth.place, tuple(renderer.pixel_steps()), renderer.up)
    return np.asarray((fit.values[:2] - at) / fit.errors[:2])
