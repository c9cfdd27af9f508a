r"""Paraxial rays through a stack of equal, equally spaced thin lenses.

In one plane a ray is (height, angle). One cell of the stack - half a pitch T of drift, a thin lens
of focal length f, half a pitch of drift - turns it by the phase φ in the plane of (height,
Z · angle), so that N cells turn it by Nφ (docs/explanation/physics.md, B2; Simons et al. 2017,
J. Synchrotron Rad. 24, 392):

.. math:: \cos\varphi = 1 - \frac{T}{2f},\quad Z = f\sin\varphi,\quad
          K = \begin{pmatrix} \cos N\varphi & Z\sin N\varphi\\
                              -\sin N\varphi / Z & \cos N\varphi \end{pmatrix}.

Lengths are in µm, angles in rad. `lenslets` is the number N of lenses, `pitch` their distance T,
and `focal_length` that of each of them.
"""

from __future__ import annotations

import math

import numpy as np

from weakbeam.core.arrays import Floats


def stack_phase(lenslets: int, pitch: float, focal_length: float) -> float:
    """Phase Nφ by which the stack turns a ray (rad), less than π.

    Raises
    ------
    ValueError
        If the phase reaches π: then the stack focuses inside itself.
    """
    # 1 - cos φ = 2 sin²(φ/2), which keeps its digits where φ is small.
    phase = lenslets * 2.0 * math.asin(min(1.0, math.sqrt(pitch / (4.0 * focal_length))))
    if phase >= math.pi:
        raise ValueError(
            f"lenslets {lenslets} at a pitch of {pitch:g} µm focus inside the stack, with a focal "
            f"length of {1e-6 * focal_length:.4g} m each: take fewer"
        )
    return phase


def stack_matrix(lenslets: int, pitch: float, focal_length: float) -> Floats:
    """Ray-transfer matrix K of the stack, shape (2, 2): (height, angle) at exit from entrance."""
    phase = stack_phase(lenslets, pitch, focal_length)
    z = focal_length * math.sin(phase / lenslets)
    c, s = math.cos(phase), math.sin(phase)
    return np.array([[c, z * s], [-s / z, c]])


def drift(length: float) -> Floats:
    """Ray-transfer matrix of free flight over `length`, shape (2, 2)."""
    return np.array([[1.0, length], [0.0, 1.0]])


def object_distance(
    lenslets: int, pitch: float, focal_length: float, magnification: float
) -> float:
    """Distance d1 = Z (1/M + cos Nφ) / sin Nφ at which the stack magnifies by M.

    Parameters
    ----------
    lenslets, pitch, focal_length
        The stack.
    magnification : float
        Magnification M, positive.

    Returns
    -------
    float
        Distance from the object to the entrance of the stack (µm).

    Raises
    ------
    ValueError
        If the magnification is not positive and finite, or so large that the object would stand
        inside the stack, or if the stack focuses inside itself.
    """
    if not 0.0 < magnification < math.inf:
        raise ValueError(f"magnification {magnification:g} is not positive and finite")
    phase = stack_phase(lenslets, pitch, focal_length)
    z = focal_length * math.sin(phase / lenslets)
    distance = z * (1.0 / magnification + math.cos(phase)) / math.sin(phase)
    if distance <= 0.0:
        raise ValueError(
            f"magnification {magnification:g} is out of reach of this lens; it must be less than "
            f"{-1.0 / math.cos(phase):.4g}"
        )
    return distance


def lenslet_heights(
    lenslets: int, pitch: float, focal_length: float, distance: float
) -> tuple[Floats, Floats]:
    """Heights at the lenslets of rays that start at an object.

    In the stack x_n = C cos((n - ½) φ) + S sin((n - ½) φ). The entrance lies half-way in the drift
    between the lenslets n = 0 (imagined) and 1, so that C cos(φ/2) is the height there and
    2 S sin(φ/2) / T the angle.

    Parameters
    ----------
    lenslets, pitch, focal_length
        The stack.
    distance : float
        Distance from the object to the entrance of the stack (µm).

    Returns
    -------
    by_height : (N,) ndarray
        Height x_n for unit height at the object.
    by_angle : (N,) ndarray
        Height x_n for unit angle at the object (µm/rad).
    """
    phase = stack_phase(lenslets, pitch, focal_length) / lenslets
    turns = phase * (np.arange(lenslets) + 0.5)
    by_height = np.cos(turns) / math.cos(0.5 * phase)
    at_entrance = 0.5 * pitch * np.sin(turns) / math.sin(0.5 * phase)
    return by_height, distance * by_height + at_entrance


def focus_change(
    lenslets: int, pitch: float, focal_length: float, distance: float, image_distance: float
) -> float:
    """How the stack goes out of focus when its focal length changes.

    Parameters
    ----------
    lenslets, pitch, focal_length
        The stack.
    distance, image_distance : float
        From the object to the entrance and from the exit to the image (µm), both fixed.

    Returns
    -------
    float
        Derivative of the element 12 of the matrix from object to image, d1 cos Nφ + Z sin Nφ +
        d2 (cos Nφ - d1 sin Nφ / Z), by ln f (µm).
    """
    phase = stack_phase(lenslets, pitch, focal_length)
    cell = phase / lenslets
    z = focal_length * math.sin(cell)
    c, s = math.cos(phase), math.sin(phase)
    # From cos φ = 1 - T/2f: dφ / d ln f = -tan(φ/2), and with Z = f sin φ the change of ln Z.
    phase_change = -lenslets * math.tan(0.5 * cell)
    ln_z_change = 1.0 - math.tan(0.5 * cell) / math.tan(cell)
    cosine = -s * phase_change
    z_sine = z * (s * ln_z_change + c * phase_change)
    sine_by_z = (c * phase_change - s * ln_z_change) / z
    return (distance + image_distance) * cosine + z_sine - distance * image_distance * sine_by_z
