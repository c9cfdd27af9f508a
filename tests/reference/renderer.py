"""A slow image of one crystal, written from the equations alone and sharing no code with weakbeam.

Symmetric geometry, vertical camera, no horizontal divergence, cubic cell. Lengths in µm, angles in
rad; the letters of the equations refer to docs/explanation/physics.md.
"""

import numpy as np
from scipy.special import ndtr

HC = 12.398419843


def unit(vector):
    return np.asarray(vector, float) / np.linalg.norm(vector)


def beta_straight(points, burgers, line, nu):
    """D2: distortion of a straight Volterra dislocation through the origin, (n, 3, 3)."""
    t = unit(line)
    screw = burgers @ t
    edge_vector = burgers - screw * t
    edge = np.linalg.norm(edge_vector)
    x_axis = unit(edge_vector) if edge > 1e-9 * abs(screw) else unit(np.cross(t, [0.3, 0.5, 0.8]))
    axes = np.column_stack([x_axis, np.cross(t, x_axis), t])
    x, y, _ = (points @ axes).T
    r2 = x**2 + y**2
    k = edge / (4 * np.pi * (1 - nu)) / r2**2
    n = 2 * nu * r2
    s = screw / (2 * np.pi) / r2
    zero = 0 * x
    beta = np.array(
        [
            [-k * y * (3 * x**2 + y**2 - n), k * x * (3 * x**2 + y**2 - n), zero],
            [-k * x * (x**2 + 3 * y**2 - n), k * y * (x**2 - y**2 + n), zero],
            [-s * y, s * x, zero],
        ]
    ).transpose(2, 0, 1)
    return axes @ beta @ axes.T


def beta_segment(points, start, end, burgers, nu, nodes=48):
    """D10: what a straight segment has in Mura's integral of an isotropic medium, (n, 3, 3)."""
    b, t = np.asarray(burgers, float), unit(np.subtract(end, start))
    length = np.linalg.norm(np.subtract(end, start))
    beta = 0.0
    for x, weight in zip(*np.polynomial.legendre.leggauss(nodes), strict=True):
        r = points - (start + 0.5 * (x + 1) * length * t)
        r2 = np.sum(r * r, axis=1)[:, None, None]
        along_b, turned = (r @ b)[:, None, None], np.cross(r, t)
        twist = np.array([[0, t[2], -t[1]], [-t[2], 0, t[0]], [t[1], -t[0], 0]])
        pure = r[:, :, None] * np.cross(b, t) - b[:, None] * turned[:, None, :] + along_b * twist
        mixed = 3 * r[:, :, None] * along_b * turned[:, None, :]
        beta = beta + 0.5 * length * weight * ((1 - 2 * nu) * pure - mixed / r2) / r2**1.5
    return beta / (8 * np.pi * (1 - nu))


def p_rock(q1, q3, theta, p):
    """C4: joint density of (q_rock', q_2θ) up to a factor."""
    s, c = np.sin(theta), np.cos(theta)
    sv, se, sa = p["zeta_v"], p["bandwidth"], p["acceptance"]
    clip, aperture = p["clip"] or np.inf, p["aperture"] or np.inf
    w = 2 * s * q3 - 2 * c * q1
    a = 1 / sv**2 + (c / s) ** 2 / se**2 + 1 / sa**2
    b = w / sa**2 - c / s**2 * q1 / se**2
    constant = (q1 / s) ** 2 / se**2 + w**2 / sa**2
    middle, width = b / a, a**-0.5
    low, high = np.maximum(-clip, w - aperture), np.minimum(clip, w + aperture)
    # From the nearer tail, where the difference keeps its digits.
    flip = np.where(middle < 0.5 * (np.maximum(low, -1) + np.minimum(high, 1)), -1.0, 1.0)
    ends = flip * (low - middle) / width, flip * (high - middle) / width
    between = np.abs(ndtr(ends[1]) - ndtr(ends[0])) * (high > low)
    return np.exp(-0.5 * (constant - b**2 / a)) * between


def p_roll(q2, theta, p):
    """C4: density of q_roll up to a factor."""
    x = 2 * np.sin(theta) * q2
    return np.exp(-0.5 * (x / p["acceptance"]) ** 2) * (np.abs(x) < (p["aperture"] or np.inf))


def image(p):
    """Image of the parameters `p`, the keys of the reference images; (rows, columns)."""
    a = p["cell"][0]
    spacing = a / np.linalg.norm(p["hkl"])
    theta = np.arcsin(HC / p["energy"] / (2 * spacing))
    s, c = np.sin(theta), np.cos(theta)

    # A2: sample axes as rows.
    z_axis = unit(p["hkl"])
    y_axis = unit(np.cross(z_axis, p["x_axis"]))
    orientation = np.array([np.cross(y_axis, z_axis), y_axis, z_axis])

    # E1: pixels, depths along k_out, all in the laboratory; then A3 into the sample.
    rows, columns = p["shape"]
    sigma = p["beam_fwhm"] / 2.354820045
    z = np.linspace(-4 * sigma, 4 * sigma, p["nz"])
    weight = np.exp(-0.5 * (z / sigma) ** 2)
    x0 = -(np.arange(rows) - (rows - 1) / 2) * p["pixel"] / np.tan(2 * theta)
    y0 = (np.arange(columns) - (columns - 1) / 2) * p["pixel"]
    x0, y0, z = (v.ravel() for v in np.meshgrid(x0, y0, z, indexing="ij"))
    x = x0 + z / np.tan(2 * theta)
    points = np.column_stack([c * x + s * z, y0, -s * x + c * z])

    # D1, D4: one exact inverse for the sum of all lines, in the crystal.
    beta = np.zeros((len(points), 3, 3))
    for line in p["lines"]:
        where = (points - line["position_um"]) @ orientation
        beta += beta_straight(where, np.array(line["b_um"]), line["t"], p["poisson"])
    for one in p.get("segments", ()):
        beta += beta_segment(
            points @ orientation, one["from_um"], one["to_um"], one["b_um"], p["poisson"]
        )
    change = np.linalg.inv(np.eye(3) + beta).transpose(0, 2, 1) - np.eye(3)
    q_rock, q_roll, q_par = orientation @ (change @ unit(p["hkl"])).T

    # A3, E3: motors in the sample frame, then into the imaging frame.
    q_rock = q_rock + p["phi"] + p["two_theta"] / 2
    q_roll = q_roll + p["chi"]
    q_par = q_par - p["two_theta"] / 2 / np.tan(theta)
    q1, q3 = c * q_rock + s * q_par, -s * q_rock + c * q_par
    density = p_rock(q1, q3, theta, p) * p_roll(q_roll, theta, p)
    density /= p_rock(np.zeros(1), np.zeros(1), theta, p) * p_roll(np.zeros(1), theta, p)
    return density.reshape(rows, columns, -1) @ weight / weight.sum()


def p_oblique(q, theta, eta, p):
    """C4: density up to a factor, as a plain sum over ζ_v."""
    s, c = np.sin(theta), np.cos(theta)
    reach = min(p["clip"] or np.inf, 7 * p["zeta_v"])
    total = 0.0
    for zeta in reach * ((np.arange(300) + 0.5) / 150 - 1):
        energy = (q[0] + c * np.cos(eta) * zeta) / s
        delta = 2 * s * q[2] - 2 * c * q[0] - np.cos(eta) * zeta
        xi = 2 * s * q[1] + np.sin(eta) * zeta
        exponent = (zeta / p["zeta_v"]) ** 2 + (energy / p["bandwidth"]) ** 2
        exponent = exponent + (delta**2 + xi**2) / p["acceptance"] ** 2
        cut = p["aperture"] or np.inf
        total = total + np.exp(-0.5 * exponent) * (np.abs(delta) < cut) * (np.abs(xi) < cut)
    return total


def oblique_image(p):
    """Image of an oblique reflection of a cubic crystal in a cube mount, camera normal to k_out.

    A3, A4 and E2 with whole diffraction vectors in the laboratory: no frame of the reflection
    enters but that of the camera.
    """
    a, h = p["cell"][0], np.array(p["hkl"], float)
    k = 2 * np.pi * p["energy"] / HC

    def turned(omega, axis=(0, 0, 1)):
        n = np.array(axis, float)
        skew = np.array([[0, -n[2], n[1]], [n[2], 0, -n[0]], [-n[1], n[0], 0]])
        return np.eye(3) + np.sin(omega) * skew + (1 - np.cos(omega)) * skew @ skew

    goniometer = turned(p["oblique"]["omega_rad"])
    q0 = goniometer @ h * 2 * np.pi / a
    out = q0 + np.array([k, 0, 0])
    assert abs(np.linalg.norm(out) / k - 1) < 1e-9
    theta, eta = np.arccos(out[0] / k) / 2, np.arctan2(-out[1], out[2])
    e_out = out / k
    e_roll = np.array([0, np.cos(eta), np.sin(eta)])
    e_two_theta = np.cross(e_out, e_roll)

    rows, columns = p["shape"]
    sigma = p["beam_fwhm"] / 2.354820045
    z = np.linspace(-4 * sigma, 4 * sigma, p["nz"])
    weight = np.exp(-0.5 * (z / sigma) ** 2)
    v = (np.arange(rows) - (rows - 1) / 2) * p["pixel"]
    u = (np.arange(columns) - (columns - 1) / 2) * p["pixel"]
    v, u, z = (x.ravel() for x in np.meshgrid(v, u, z, indexing="ij"))
    on_camera = v[:, None] * e_two_theta + u[:, None] * e_roll
    points = on_camera + ((z - on_camera[:, 2]) / e_out[2])[:, None] * e_out
    in_crystal = points @ goniometer

    beta = np.zeros((len(points), 3, 3))
    for line in p["lines"]:
        where = in_crystal - line["position_um"]
        beta += beta_straight(where, np.array(line["b_um"]), line["t"], p["poisson"])
    bent = np.linalg.inv(np.eye(3) + beta).transpose(0, 2, 1) @ h * 2 * np.pi / a
    # Small turns of the inner motors: φ about y of the sample, χ left-handed about x.
    motors = p["phi"] * goniometer[:, 1] - p["chi"] * goniometer[:, 0]
    change = bent @ goniometer.T + np.cross(motors, q0) - q0
    q = np.array([e_out, e_roll, e_two_theta]) @ change.T / np.linalg.norm(q0)
    q[2] -= p["two_theta"] / (2 * np.sin(theta))
    density = p_oblique(q, theta, eta, p) / p_oblique(np.zeros((3, 1)), theta, eta, p)
    return density.reshape(rows, columns, -1) @ weight / weight.sum()
