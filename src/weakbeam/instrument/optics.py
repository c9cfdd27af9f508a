"""The instrument's optics: what the beam brings, and which angles lens, aperture and stops pass."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

from weakbeam.core.arrays import Floats
from weakbeam.instrument.passage import (
    MOST_ROUND_SLABS,
    Passage,
    gaussian_moments,
    passages,
    slab_count,
)
from weakbeam.instrument.stops import Stop


@dataclass(frozen=True)
class Optics:
    """Beam, objective and what stands in its back focal plane, whatever the reflection.

    A ray has a relative wavevector deviation ε, angles of incidence ζ_v (vertical) and ζ_h
    (horizontal), and angles δ (along 2θ) and ξ (along roll) at which it enters the objective
    (docs/explanation/physics.md, C1).

    Parameters
    ----------
    bandwidth : float
        Standard deviation of ε.
    divergence_vertical : float
        Standard deviation of ζ_v (rad) before the condenser cuts it; ``inf`` for a uniform one,
        which needs a finite `clip`.
    clip : float
        Half width (rad) of the condenser's aperture on ζ_v; ``inf`` for none.
    divergence_horizontal : float
        Standard deviation of ζ_h (rad); 0 for a parallel beam.
    lens : float
        Standard deviation of the objective's Gaussian angular acceptance (rad), for δ and ξ.
    aperture : float
        Half width (rad) of the square angular aperture on δ and ξ; ``inf`` for none.
    stops : tuple of Stop
        What stands in the back focal plane of the objective.
    spectrum : tuple of (weight, centre, rms)
        Gaussians in ε that make up the spectrum, instead of one of width `bandwidth` about 0.

    Raises
    ------
    ValueError
        When a width is not positive, or nothing passes.
    """

    bandwidth: float
    divergence_vertical: float
    clip: float
    divergence_horizontal: float
    lens: float
    aperture: float
    stops: tuple[Stop, ...] = ()
    spectrum: tuple[tuple[float, float, float], ...] = ()

    def __post_init__(self) -> None:
        """Check the widths, and that some rays pass."""
        for name in ("bandwidth", "lens"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} {getattr(self, name)} is not positive and finite")
        for name in ("divergence_vertical", "clip", "aperture"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} {getattr(self, name)} is not positive")
        if math.isinf(self.divergence_vertical) and math.isinf(self.clip):
            raise ValueError("a uniform divergence_vertical needs a finite clip")
        if not 0.0 <= self.divergence_horizontal < math.inf:
            raise ValueError(
                f"divergence_horizontal {self.divergence_horizontal} is negative or not finite"
            )
        for weight, centre, rms in self.spectrum:
            if not (weight > 0.0 and rms > 0.0 and math.isfinite(weight + centre + rms)):
                raise ValueError(f"spectrum {(weight, centre, rms)} is no (weight, centre, rms)")
        if not self.throughput > 0.0:
            raise ValueError("the apertures and stops let nothing through")

    @property
    def open(self) -> Optics:
        """The same instrument without its stops."""
        return replace(self, stops=())

    @property
    def uncut(self) -> bool:
        """Whether nothing cuts the beam or the lens, so that all angles are plain Gaussians."""
        return math.isinf(self.clip) and math.isinf(self.aperture) and not self.stops

    @property
    def energies(self) -> tuple[tuple[float, float, float], ...]:
        """Share, centre and width of each Gaussian of the spectrum; the shares add up to 1."""
        parts = self.spectrum or ((1.0, 0.0, self.bandwidth),)
        total = sum(weight for weight, _, _ in parts)
        return tuple((weight / total, centre, rms) for weight, centre, rms in parts)

    @cached_property
    def passages(self) -> tuple[Passage, ...]:
        """Transmission of aperture and stops; products, those behind a round aperture in circles.

        It is exact but for wires of varying thickness.
        """
        return passages(self.aperture, self.stops)

    @cached_property
    def products(self) -> tuple[Passage, ...]:
        """The same as a sum of plain products, in which slabs stand for a circle."""
        blur = self._roll_blur if self.separates else 0.0
        return tuple(part for term in self.passages for part in term.slabs(blur))

    @cached_property
    def separates(self) -> bool:
        """Whether `products` are as good as `passages`, to 0.3 % of the peak of the acceptance.

        Slabs have edges that show where nothing blurs ξ: 11 % of the peak at the rim.
        """
        radii = [term.radius for term in self.passages if math.isfinite(term.radius)]
        blur = self._roll_blur
        return all(blur and slab_count(radius, blur) <= MOST_ROUND_SLABS for radius in radii)

    @property
    def _roll_blur(self) -> float:
        """Standard deviation of ξ at a given q_roll."""
        spread = self.divergence_horizontal
        return self.lens * spread / math.hypot(self.lens, spread)

    @cached_property
    def lens_moments(self) -> list[tuple[Passage, Floats, Floats]]:
        """Each product of the transmission, with its moments of δ and of ξ."""
        return [
            (
                term,
                gaussian_moments(term.two_theta, self.lens),
                gaussian_moments(term.roll, self.lens),
            )
            for term in self.products
        ]

    @property
    def peak_of_vertical_divergence(self) -> float:
        """Density of ζ_v (1/rad) at its centre, what passes the condenser having a share of 1."""
        if math.isinf(self.divergence_vertical):
            return 0.5 / self.clip
        root = math.sqrt(2.0 * math.pi)
        return 1.0 / (root * self.divergence_vertical * self.passed_by_condenser)

    @property
    def passed_by_condenser(self) -> float:
        """Probability that ζ_v passes the condenser's aperture; 1 for a uniform divergence."""
        if math.isinf(self.divergence_vertical):
            return 1.0
        return _inside(self.clip / self.divergence_vertical)

    @property
    def passed_by_aperture(self) -> float:
        """Probability that one of δ, ξ passes the aperture of the lens."""
        return _inside(self.aperture / self.lens)

    @cached_property
    def passed(self) -> float:
        """Probability that (δ, ξ) passes aperture and stops."""
        return float(sum(term.weight * a[0] * b[0] for term, a, b in self.lens_moments))

    @property
    def throughput(self) -> float:
        """Share of the rays within the lens' aperture that the stops let pass."""
        return self.passed / self.passed_by_aperture**2


def _inside(ratio: float) -> float:
    """Probability that a standard normal variable lies within ±`ratio`."""
    return math.erf(ratio / math.sqrt(2.0))
