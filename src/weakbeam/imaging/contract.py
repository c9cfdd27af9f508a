"""What callers ask of an engine, and what an engine needs: where other machines can stand in.

Whoever computes images, moments and mean q of a crystal fulfils :class:`ImagingEngine`; callers
know nothing else. :mod:`weakbeam.imaging.engines` names the engines that there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from weakbeam.core.arrays import ArrayLike, Floats, Floats32
from weakbeam.defects.field import DisplacementGradientField
from weakbeam.diffraction.density import AcceptanceDensity
from weakbeam.diffraction.kernel import Kernel
from weakbeam.imaging.averaging import Averaging
from weakbeam.imaging.rays import RayGrid

Progress = Callable[[float], None]
"""Called with the number of frames that are newly done; fractions are possible."""


class ImagedReflection(Protocol):
    """What an engine needs of the geometry."""

    @property
    def theta(self) -> float:
        """Bragg angle (rad)."""

    @property
    def q0_sample(self) -> Floats:
        """Unit diffraction vector in the frame of the field, shape (3,)."""

    @property
    def imaging_from_sample(self) -> Floats:
        """Rotation from the frame of the field to that of q, shape (3, 3)."""


class ImagingEngine(Protocol):
    """Images and moments of one deformed crystal seen by one instrument.

    Every motor shifts q by a constant vector. A scan is a grid of n settings of φ and 2θ by m
    settings of χ; a frame takes the sum of the shifts of one of each.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the image."""

    @property
    def loosened(self) -> float:
        """How many times larger steps of q along rays are than the engine would have them; 1 if no.

        More than 1 where the crystal would need too many sampling points.
        """

    @property
    def reached(self) -> float:
        """Root mean square error of the images by sampling, relative to that of the images.

        An estimate, by more samples of some pixels. NaN where pixels stand for points.
        """

    def with_field(self, field: DisplacementGradientField) -> ImagingEngine:
        """Return an engine of the same instrument for another deformation."""

    def held(self, fields: Sequence[DisplacementGradientField]) -> ImagingEngine:
        """Return an engine with the samples that some deformations need, whatever comes.

        What `with_field` makes of it keeps them, so that images change smoothly with a deformation
        that stays near to those. With the samples of a single one it is an engine of that.
        """

    def images(
        self, rock_shifts: ArrayLike, roll_shifts: ArrayLike, progress: Progress | None = None
    ) -> Floats32:
        """All frames of a scan at once.

        Parameters
        ----------
        rock_shifts : (n, 3) array_like
            Shift of q in the imaging frame for each setting of φ and 2θ.
        roll_shifts : (m, 3) array_like
            Shift of q for each setting of χ.
        progress : callable, optional
            Called with the number of frames newly done, a float: batches count as they go on.

        Returns
        -------
        (m, n, rows, columns) ndarray of float32
            Intensity relative to the perfect crystal at its Bragg setting.
        """

    def batches(
        self,
        rock_shifts: ArrayLike,
        roll_shifts: ArrayLike,
        wanted: Callable[[slice, slice], bool] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[slice, slice, Floats32]]:
        """Frames of a scan, batch by batch.

        Parameters
        ----------
        rock_shifts, roll_shifts : (n, 3) and (m, 3) array_like
            See :meth:`images`.
        wanted : callable, optional
            Told the two slices of a batch; batches for which it returns False are left out.
        progress : callable, optional
            Called with the number of frames newly done, a float: batches count as they go on.

        Yields
        ------
        rock, roll : slice
            Which settings the batch holds.
        frames : (settings of roll, settings of rock, rows, columns) ndarray of float32
            The frames. The memory is used again for the next batch.
        """

    def moments(
        self,
        rock_shifts: ArrayLike,
        roll_shifts: ArrayLike,
        rock_powers: ArrayLike,
        roll_powers: ArrayLike,
        progress: Progress | None = None,
    ) -> Floats:
        """Weighted sums over all frames of a scan, without forming a frame.

        Parameters
        ----------
        rock_shifts, roll_shifts : (n, 3) and (m, 3) array_like
            See :meth:`images`.
        rock_powers, roll_powers : (k, n) and (k, m) array_like
            Frame (j, i) enters the moment k with weight rock_powers[k, i] · roll_powers[k, j].
        progress : callable, optional
            Called with the number of frames newly done, a float: batches count as they go on.

        Returns
        -------
        (k, rows, columns) ndarray
        """

    def mean_q(self) -> tuple[Floats, int]:
        """Change of the diffraction vector averaged over the rays of each pixel.

        Returns
        -------
        q : (3, rows, columns) ndarray
            (q_rock', q_roll, q_2θ), weighted with the beam; NaN where no ray diffracts.
        masked : int
            Number of rays that do not diffract: folded crystal or field not finite.
        """


class EngineBuilder(Protocol):
    """Makes an engine for a crystal and an instrument."""

    def __call__(
        self,
        field: DisplacementGradientField,
        geometry: ImagedReflection,
        rays: Sequence[RayGrid],
        acceptance: AcceptanceDensity,
        workers: int | None = None,
        *,
        kernel: Kernel | None = None,
        vignetting: float = 0.0,
        smooth: RayGrid | None = None,
        tolerance: float = 1.0,
        averaging: Averaging | None = None,
        shifts: tuple[ArrayLike, ArrayLike] | None = None,
    ) -> ImagingEngine:
        """Make the engine.

        Parameters
        ----------
        field : DisplacementGradientField
            The deformation, in the sample frame.
        geometry : ImagedReflection
            The reflection.
        rays : sequence of RayGrid
            The sampling points, from coarse to fine; grids differ in their depth samples only, and
            an engine may take them where q varies along a ray, or always the finest.
        acceptance : AcceptanceDensity
            The instrument. Every one has closed forms of all of q; some have factors, which are
            faster.
        workers : int, optional
            Threads, for engines that have some; results do not depend on it.
        kernel : Kernel, optional
            Tabulated acceptance to be used instead of the closed form.
        vignetting : float
            Angle (rad) by which the centre of the lens' acceptance moves per µm of the field of
            view; negative, towards the axis.
        smooth : RayGrid, optional
            A coarser grid than the others, for rays along which q hardly varies.
        tolerance : float
            How many times larger than usual steps of q along a ray may be.
        averaging : Averaging, optional
            How accurate images shall be whose pixels stand for their area, of which the grids have
            the middle; an engine may as well take very fine samples everywhere. Unless it is given
            pixels stand for the points of the grids.
        shifts : pair of (n, 3) and (m, 3) array_like, optional
            Shifts of q of the frames that images will be taken for, by φ and 2θ and by χ: what
            samples may be chosen for. At the Bragg setting unless given.
        """
