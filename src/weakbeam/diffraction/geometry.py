"""The frames of a reflection at its Bragg setting, and what the motors do to q there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.instrument.goniometer import rotation_x, rotation_y


@dataclass(frozen=True)
class DiffractionGeometry:
    """A reflection at its Bragg setting.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).
    eta : float
        Azimuth of the diffracted beam about the incident one (rad); 0: vertical scattering plane.
    lab_from_sample : (3, 3) ndarray
        Goniometer rotation at the Bragg setting.
    phi_axis, chi_axis : (3,) ndarray
        Rotation axes of the motors in the laboratory, such that a small positive motion φ turns
        the sample right-handed about `phi_axis`. χ is left-handed about x as published, so its
        axis is -x.
    """

    theta: float
    eta: float
    lab_from_sample: Floats
    phi_axis: Floats
    chi_axis: Floats

    @property
    def lab_from_imaging(self) -> Floats:
        """Columns: the diffracted beam, the roll axis, the direction of increasing 2θ."""
        return rotation_x(self.eta) @ rotation_y(-2.0 * self.theta)

    @property
    def k_out_lab(self) -> Floats:
        """Unit vector of the diffracted beam."""
        return np.ascontiguousarray(self.lab_from_imaging[:, 0])

    @property
    def q0_lab(self) -> Floats:
        """Unit diffraction vector: half of k_out - k_in over sinθ."""
        beam = np.array([1.0, 0.0, 0.0])
        return np.asarray((self.k_out_lab - beam) / (2.0 * math.sin(self.theta)))

    @property
    def q0_sample(self) -> Floats:
        """Unit diffraction vector in the sample."""
        return np.asarray(self.lab_from_sample.T @ self.q0_lab)

    @property
    def imaging_from_sample(self) -> Floats:
        """Rotation from the sample to the imaging frame."""
        return self.lab_from_imaging.T @ self.lab_from_sample

    @property
    def motor_vectors(self) -> Floats:
        """Change of q in the imaging frame per radian of φ, χ and 2θ.

        Returns
        -------
        (3, 3) ndarray
            Rows for φ, χ and the detector arm. The arm moves the centre of the acceptance, so it
            enters with a minus sign (docs/explanation/physics.md, A3).
        """
        turn = [np.cross(axis, self.q0_lab) for axis in (self.phi_axis, self.chi_axis)]
        phi, chi = (self.lab_from_imaging.T @ change for change in turn)
        arm = np.array([0.0, 0.0, -1.0 / (2.0 * math.sin(self.theta))])
        return np.stack([phi, chi, arm])


def symmetric_geometry(theta: float) -> DiffractionGeometry:
    """Symmetric geometry: Q along z of the sample, tilted by θ towards the beam.

    Parameters
    ----------
    theta : float
        Bragg angle (rad).

    Returns
    -------
    DiffractionGeometry
        With μ = -θ: φ turns about the sample's y, χ about its x.
    """
    lab_from_sample = rotation_y(-theta)
    return DiffractionGeometry(
        theta=theta,
        eta=0.0,
        lab_from_sample=lab_from_sample,
        phi_axis=lab_from_sample[:, 1],
        chi_axis=-lab_from_sample[:, 0],
    )


def diffraction_vector_change(gradient: ArrayLike, q0: ArrayLike) -> Floats:
    r"""Relative change of the diffraction vector, :math:`(F^{-T} - I)\,\hat q_0` with F = I + β.

    Parameters
    ----------
    gradient : (..., 3, 3) array_like
        Displacement gradient β.
    q0 : (3,) array_like
        Unit diffraction vector in the same frame.

    Returns
    -------
    (..., 3) ndarray
        Dimensionless; NaN where β is not finite or the crystal is folded (det F ≤ 0).

    Notes
    -----
    Exact (docs/explanation/physics.md, D1), written as :math:`-F^{-T} \beta^T \hat q_0` so that
    small distortions lose no digits.
    """
    beta = np.asarray(gradient, dtype=np.float64)
    deformation = np.eye(3) + beta
    with np.errstate(invalid="ignore"):
        good = np.isfinite(beta).all(axis=(-2, -1)) & (np.linalg.det(deformation) > 0.0)
    transposed = np.swapaxes(np.where(good[..., None, None], deformation, np.eye(3)), -1, -2)
    pull = np.einsum("...ij,i->...j", np.where(good[..., None, None], beta, 0.0), np.asarray(q0))
    change = -np.linalg.solve(transposed, pull[..., None])[..., 0]
    return np.where(good[..., None], change, np.nan)
