"""How the instrument of a simulated scan answers to strain and to turns of the lattice."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from weakbeam.core.arrays import ArrayLike, Floats
from weakbeam.errors import InputError
from weakbeam.imaging.motors import MOTORS
from weakbeam.io.measured_scan import MeasuredScan

_ARM = "obpitch"


@dataclass(frozen=True, eq=False)
class Response:
    r"""What is known of the answer of an instrument.

    Parameters
    ----------
    strain : float or None
        Share of a small homogeneous axial strain that a scan of the arm alone shows: slope of
        :math:`-\Delta 2\theta / (2\tan\theta)` of the centre of mass against it.
    vectors : mapping of str to (3,) ndarray
        Change of the unit diffraction vector per radian of each motor that turns the sample.
    """

    strain: float | None = None
    vectors: Mapping[str, Floats] = field(default_factory=dict)

    def turning(self, motors: Sequence[str]) -> Floats | None:
        """Their vectors, shape (motors, 3); None where one is not known."""
        if not motors or any(motor not in self.vectors for motor in motors):
            return None
        return np.stack([self.vectors[motor] for motor in motors])


def response_of(scan: MeasuredScan, weights: ArrayLike | None = None) -> Response | None:
    r"""Response of the instrument that the file of a simulated scan describes.

    Parameters
    ----------
    scan : MeasuredScan
        The scan.
    weights : (n,) array_like, optional
        Weights of its frames that are not left out.

    Returns
    -------
    Response or None
        None of a scan that is not simulated, or of which nothing has to be known: without oblique
        geometry and with the arm at rest or moving beside another motor.

    Notes
    -----
    A homogeneous strain ε changes q by :math:`-\varepsilon\,\hat q`, to which the arm answers
    with :math:`R\,\hat q\,\varepsilon` (docs/explanation/physics.md, E6).
    """
    alone = list(scan.positions) == [_ARM] and not scan.along
    if not scan.geometry or (scan.geometry == "symmetric" and not alone):
        return None
    from weakbeam.analysis.moments import com_response
    from weakbeam.assemble import assemble_all
    from weakbeam.io.reading import read_configuration
    from weakbeam.run.acquisition import acquisitions_of
    from weakbeam.run.stored import stored_experiment

    try:
        text = read_configuration(scan.path)
        experiment = stored_experiment(text, scan.path)
        # The instrument answers alike whatever the defects are.
        setups = assemble_all(experiment.model_copy(update={"defects": ()}))
    except (InputError, KeyError):
        return None
    index = int(scan.entry.partition(".")[0]) - 1
    every = acquisitions_of(setups)
    acquisition = every[index % len(every)]
    setup, taken = acquisition.setup, acquisition.scan
    geometry = setup.geometry
    phi, chi, _ = geometry.motor_vectors
    vectors = {MOTORS["phi"].beamline_name: phi, MOTORS["chi"].beamline_name: chi}
    if not alone or taken.moving != ("two_theta",):
        return Response(vectors=vectors)
    valid = scan.valid
    if len(valid) != taken.frames:
        return Response(vectors=vectors)
    shifts = acquisition.q_shifts[valid]
    positions = taken.motor_positions("two_theta")[None, valid]
    answer = com_response(setup.acceptance, shifts, positions, weights)[0]
    along = geometry.lab_from_imaging.T @ geometry.q0_lab
    share = -float(answer @ along) / (2.0 * math.tan(geometry.theta))
    return Response(share if math.isfinite(share) else None, vectors)
