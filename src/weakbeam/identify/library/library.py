"""Libraries: images of every candidate dislocation under the conditions of an experiment."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from weakbeam.core.arrays import Floats, Floats32, Ints
from weakbeam.core.memory import physical_memory
from weakbeam.defects.types import DislocationType
from weakbeam.errors import InputError
from weakbeam.experiment import Experiment
from weakbeam.fit.frame_noise import shortened
from weakbeam.identify.library.candidates import Candidates, candidates_of, identify_table
from weakbeam.identify.library.contrast import (
    DETECTABLE,
    FAINT,
    Contrast,
    contrast_of,
)
from weakbeam.identify.library.making import make_all
from weakbeam.identify.library.plan import ImagePlan
from weakbeam.run.render import Condition

Bools = NDArray[np.bool_]
Progress = Callable[[float], None]

_SHARE_OF_MEMORY = 0.8


class Images(Protocol):
    """Frames of all members: an array, or one that is read from its file when it is asked for."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Members, conditions, rows and columns."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """float32 of relative intensities, or uint16 of counts."""

    def __getitem__(self, members: Any) -> NDArray[Any]:
        """Frames of one member, of a slice or of a list of members."""

    def __len__(self) -> int: ...


@dataclass(frozen=True, eq=False)
class Members:
    """The table of a library: what each member is, and how well it is seen.

    Parameters
    ----------
    types : (n,) ndarray of int
        Number of the type.
    positions_um : (n, 3) ndarray
        A point of the line (µm), sample frame of the first reflection.
    depths_um : (n,) ndarray
        By how much of that the line was raised across the sheet of the beam.
    visibility, signal_to_noise : (n,) ndarray
        The `Contrast` of its images.
    visible : (n,) ndarray of bool
        Whether the images can show it: some diffraction vector changes at all, the images differ
        from the perfect crystal's, and that above the noise of the camera.
    """

    types: Ints
    positions_um: Floats
    depths_um: Floats
    visibility: Floats
    signal_to_noise: Floats
    visible: Bools

    def __len__(self) -> int:
        return len(self.types)


@dataclass(frozen=True, eq=False)
class Library:
    """Images of candidates, with what they show.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument and scan, without defects.
    conditions : tuple of Condition
        How the frames of each member are taken.
    types : tuple of DislocationType
        The types of dislocations.
    members : Members
        The table of the members.
    images : (members, conditions, rows, columns) array
        Relative intensities (float32), or counts with noise (uint16).
    perfect : (conditions,) ndarray
        Mean intensity of the perfect crystal.
    """

    experiment: Experiment
    conditions: tuple[Condition, ...]
    types: tuple[DislocationType, ...]
    members: Members
    images: Images
    perfect: Floats

    def __len__(self) -> int:
        return len(self.members)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an image."""
        return self.images.shape[-2], self.images.shape[-1]

    @property
    def visible(self) -> Ints:
        """Numbers of the members that the images can show."""
        return np.flatnonzero(self.members.visible)

    def type_of(self, member: int) -> DislocationType:
        """The type of a member."""
        return self.types[int(self.members.types[member])]


@dataclass(frozen=True, eq=False)
class LibraryPlan(ImagePlan):
    """What a library will hold; its images are made one member after the other.

    Parameters
    ----------
    candidates : Candidates
        The types, and what makes their images.
    types : (n,) ndarray of int
        Type of each member.
    positions_um : (n, 3) ndarray
        A point of its line (µm), sample frame of the first reflection.
    depths_um : (n,) ndarray
        By how much of that it was raised across the sheet of the beam.
    noise : bool
        Whether frames are counts with noise.
    """

    candidates: Candidates
    types: Ints
    positions_um: Floats
    depths_um: Floats
    noise: bool

    def __len__(self) -> int:
        return len(self.types)

    def frames(self) -> Iterator[tuple[NDArray[Any], Contrast]]:
        """What :meth:`make` gives for every member; see `library.making.make_all`."""
        return make_all(self, plan_library)

    @property
    def rendered(self) -> int:
        """How many images are rendered for a member, under each condition."""
        return 1

    def make(self, member: int) -> tuple[NDArray[Any], Contrast]:
        """Make a member.

        Returns
        -------
        frames : (conditions, rows, columns) ndarray
            Relative intensities to 16 binary digits (float32), or counts (uint16).
        contrast : Contrast
        """
        renderer = self.candidates.renderer
        place = self.positions_um[member : member + 1]
        images = renderer.image(self.candidates.lines([int(self.types[member])], place))
        contrast = contrast_of(images, self.perfect, self._noises)
        if not self.noise:
            return shortened(images), contrast
        counted = [
            noise.counts(image, number, member)
            for number, (noise, image) in enumerate(zip(self._noises, images, strict=True))
        ]
        return np.array(counted), contrast

    def members(self, contrasts: Sequence[Contrast]) -> Members:
        """The table of the members, given how much the images of each one show."""
        visibility, ratio = np.array(contrasts).reshape(-1, 2).T
        visible = np.isin(self.types, self.candidates.visible) & (visibility > FAINT)
        # Where nothing counts, the ratio is NaN and no reason to hide.
        visible = visible & ~(ratio < DETECTABLE)
        return Members(self.types, self.positions_um, self.depths_um, visibility, ratio, visible)


def plan_library(experiment: Experiment, workers: int | None = None) -> LibraryPlan:
    """Plan the library that an experiment describes: every type at every position and depth.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, scan and ``[identify]``.
    workers : int, optional
        Threads; as many as there are cores unless given. The images do not depend on it.

    Raises
    ------
    InputError
        If the experiment contradicts physics, has no candidates, wants noise of a camera that does
        not count, or is a z-scan without heights.
    """
    table = identify_table(experiment)
    if table.mode == "z-scan" and not experiment.scan.z.moving:
        raise InputError(
            "identify.mode", "z-scan", "needs several heights: [scan.z] half_range_um and steps"
        )
    noise = wants_noise(experiment)
    candidates = candidates_of(experiment, workers)
    places = [*product(table.positions_um, table.depths_um)]
    raised = np.array([position for position, _ in places])
    depths = np.array([depth for _, depth in places])
    raised = raised + depths[:, None] * candidates.renderer.up
    count = len(candidates.types)
    return LibraryPlan(
        candidates,
        np.tile(np.arange(count), len(places)),
        np.repeat(raised, count, axis=0),
        np.repeat(depths, count),
        noise,
    )


def make_library(
    experiment: Experiment, workers: int | None = None, progress: Progress | None = None
) -> Library:
    """Make a library in memory.

    Parameters
    ----------
    experiment : Experiment
        Crystal, instrument, scan and ``[identify]``.
    workers : int, optional
        Threads; the images do not depend on it.
    progress : callable, optional
        Told how many members are newly done.

    Raises
    ------
    InputError
        As `plan_library`, or if the images do not fit in memory.

    Examples
    --------
    >>> import weakbeam as wb
    >>> from weakbeam.identify.library.library import make_library
    >>> experiment = wb.Experiment().with_settings(
    ...     ["camera.pixels=[16, 48]", "identify.character_step_deg=90", "scan.phi.value_mrad=0.15"]
    ... )
    >>> library = make_library(experiment)
    >>> library.images.shape, len(library.visible)
    ((48, 1, 16, 48), 36)
    """
    plan = plan_library(experiment, workers)
    renderer = plan.candidates.renderer
    shape = (len(plan), len(renderer.conditions), *renderer.shape)
    needed = math.prod(shape) * plan.dtype.itemsize
    if needed > _SHARE_OF_MEMORY * physical_memory():
        raise InputError(
            "identify",
            None,
            f"its {shape[0]} x {shape[1]} images take {needed / 1e9:.3g} GB of memory; "
            "weakbeam identify generate streams them to a file",
        )
    images = np.empty(shape, plan.dtype)
    contrasts = []
    for member, (frames, contrast) in enumerate(plan.frames()):
        images[member] = frames
        contrasts.append(contrast)
        if progress is not None:
            progress(1)
    return Library(
        renderer.experiment,
        renderer.conditions,
        plan.candidates.types,
        plan.members(contrasts),
        images,
        mean_intensity(plan.perfect),
    )


def wants_noise(experiment: Experiment) -> bool:
    """Whether frames are to be counts with noise.

    Raises
    ------
    InputError
        If they are, but the camera does not count.
    """
    table, counting = identify_table(experiment), experiment.camera.is_counting
    if table.noise is None:
        return table.is_training and counting
    if table.noise and not counting:
        raise InputError(
            "identify.noise", True, 'needs a camera that counts: camera.model = "pco_edge"'
        )
    return table.noise


def mean_intensity(images: Floats32) -> Floats:
    """Mean of each image, (conditions,)."""
    return np.asarray(images.mean(axis=(-2, -1), dtype=np.float64))
