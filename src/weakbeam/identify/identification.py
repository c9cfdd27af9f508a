"""Which dislocation images show: from files, runs or arrays to a table of candidates."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from weakbeam.assemble import resolve
from weakbeam.assemble.indices import plane_of
from weakbeam.core.arrays import Floats
from weakbeam.core.bars import Progress, teller
from weakbeam.errors import InputError, naming
from weakbeam.experiment import Experiment
from weakbeam.fit.nuisance_priors import NuisancePriors
from weakbeam.fit.observation import Noise
from weakbeam.identify.figures import match_drawings
from weakbeam.identify.library.candidates import identify_table
from weakbeam.identify.library.library import Library, make_library
from weakbeam.identify.library.library_files import read_library
from weakbeam.identify.match import match
from weakbeam.identify.match_options import MatchOptions
from weakbeam.identify.match_result import Candidate, Match
from weakbeam.identify.preparation import ImageOptions, prepare
from weakbeam.imaging.motors import SCANNED
from weakbeam.io.images import ImageStack, read_images
from weakbeam.io.places import Place
from weakbeam.run.labelled import LabelledArray
from weakbeam.run.pictures import Figures
from weakbeam.run.records import Records
from weakbeam.run.simulate import Run

if TYPE_CHECKING:
    from weakbeam.experiment.nuisance import Nuisance

OneSource = str | os.PathLike[str] | Place | ImageStack | Run | LabelledArray | NDArray[Any]
"""What images may come from."""

_FREE: dict[bool | None, tuple[str, ...] | None] = {
    None: None,
    False: ("position",),
    True: ("position", "character"),
}


class Identification(Records):
    """The candidates for what images show, the likeliest first.

    A table with a row for each candidate: its type, probability, by how much its log-evidence lies
    below that of the first one, misfit, correlation, and where it lies.

    Parameters
    ----------
    match : Match
        All that was found.
    experiment : Experiment
        Of the library.
    notes : sequence of str
        What was done to the images that one should know, a line each.

    Attributes
    ----------
    match : Match
        All that was found: residuals, nuisances, ranking of all types.
    notes : tuple of str
        What to know of the images and the result.
    """

    def __init__(self, match: Match, experiment: Experiment, notes: Sequence[str] = ()) -> None:
        best = match.best.log_evidence
        super().__init__(match.verdict.sentence, [_row(c, best) for c in match.candidates])
        self.match = match
        self.experiment = experiment
        self.notes = (*notes, *match.verdict.notes)

    @property
    def verdict(self) -> str:
        """What the images say, in a sentence."""
        return self.match.verdict.sentence

    @property
    def decided(self) -> bool:
        """Whether one type has 95 % of the probability, and explains the images."""
        return self.match.verdict.decided

    def plot(self) -> Figures:
        """Draw images, best candidate, residual and ranking: name -> matplotlib Figure."""
        drawings = match_drawings(self.match, self.experiment)
        return Figures({name: drawing.figure() for name, drawing in drawings.items()})


def identify(
    images: OneSource | Sequence[OneSource],
    library: str | os.PathLike[str] | Library | Experiment,
    *,
    phi_mrad: float | Sequence[float] = (),
    pixel_nm: float | None = None,
    dark: float | Floats | None = None,
    noise: Noise | tuple[float, float] | None = None,
    saturation: float | None = None,
    hot: float | None = None,
    max_shift: int = 20,
    score: str = "likelihood",
    background: str = "mean",
    keep: int = 8,
    refine: int = 12,
    turn: bool | None = None,
    exact: bool | None = None,
    nuisances: Mapping[str, Any] | None = None,
    orientations: bool = False,
    camera_known: bool = False,
    workers: int | None = None,
    progress: Progress | bool | None = None,
) -> Identification:
    """Rank the dislocations of a library by how well they explain one or several images.

    Parameters
    ----------
    images : path, Run, LabelledArray, ndarray, ImageStack, or a sequence of these
        Images of the same place: ``FILE``, ``FILE::ENTRY`` or ``FILE::ENTRY#FRAME``; a run; arrays
        (rows, columns) or (n, rows, columns).
    library : path, Library or Experiment
        The candidates: folder or file of a library, a library, or the experiment to make one of,
        whose ``[identify]`` tells the candidates and whose scan tells the conditions.
    phi_mrad : float or sequence of float
        Offset of φ from the Bragg setting, where images do not tell it: one for all, or one each.
    pixel_nm : float, optional
        Size of a pixel in the sample, where images do not tell it.
    dark : float or (rows, columns) ndarray, optional
        Counts without light. The camera's for simulated images, else the darkest percent unless
        given.
    noise : Noise or (gain, floor), optional
        Variance of the counts: gain · signal + floor. The camera's for simulated images, else
        estimated unless given.
    saturation : float, optional
        Brighter pixels do not count.
    hot : float, optional
        Single pixels that stand out by more standard deviations do not count.
    max_shift : int
        Largest shift of a candidate along rows and columns (pixels).
    score, background, keep, refine
        As of :class:`~weakbeam.identify.match_options.MatchOptions`.
    turn : bool, optional
        Let the refinement turn all lines, or none; those whose types gain evidence by it unless
        given.
    exact : bool, optional
        Take the model to be exact, instead of fitting along what is not known exactly. So for
        simulated images unless given.
    nuisances : mapping, optional
        Changes of the library's ``[identify.nuisance]``, such as ``{"phi_offset_urad": 50}``.
    orientations : bool
        Try the images mirrored and turned as well.
    camera_known : bool
        Whether the camera sits as the experiment says; of simulated images that is known.
    workers : int, optional
        Threads; the result does not depend on it.
    progress : callable or bool, optional
        Told which share of the work is newly done; True shows a bar.

    Returns
    -------
    Identification
        The candidates, the best first; `verdict` says in a sentence what they mean.

    Raises
    ------
    InputError
        If images or library cannot be read, do not belong together, or show nothing.

    Examples
    --------
    >>> import weakbeam as wb
    >>> small = wb.Experiment().replace(
    ...     camera={"pixels": (32, 64), "model": "pco_edge"},
    ...     scan={"phi": {"value_mrad": 0.15}},
    ...     identify={"planes": [(1, 1, 1)], "character_step_deg": 90},
    ... )
    >>> found = wb.identify(wb.simulate(small), small, max_shift=3, refine=0)
    >>> found[0]["type"], found.decided
    ('(1 1 1) [1 0 -1] 0 deg', True)
    """
    if turn and not refine:
        raise InputError("turn", None, "needs `refine`")
    stacks = [stack for source in _several(images) for stack in _stacks_of(source)]
    known = _library_of(library, workers)
    with naming("noise", noise):
        stated = noise if noise is None or isinstance(noise, Noise) else Noise(*noise)
    phi = [phi_mrad] if isinstance(phi_mrad, int | float) else phi_mrad
    told = ImageOptions(
        phi=[1e-3 * value for value in phi],
        pixel_um=None if pixel_nm is None else 1e-3 * pixel_nm,
        dark=dark,
        noise=stated,
        saturation=saturation,
        hot=hot,
    )
    with _in_units_of_arguments():
        prepared = prepare(stacks, known, told)
    simulated = all(stack.configuration is not None for stack in stacks)
    given = nuisances is not None or orientations
    if exact is None:
        exact = simulated and not given
    if exact and given:
        raise InputError("exact", None, "cannot go with `nuisances` or `orientations`")
    options = MatchOptions(
        nuisances=None if exact else _priors(known.experiment, nuisances or {}),
        orientations=orientations,
        camera_known=camera_known or simulated,
        max_shift=max_shift,
        score=score,
        background=background,
        keep=keep,
        refine=refine,
        free=_FREE[turn],
    )
    tell = teller(progress, 1.0)
    found = match(prepared.observation, known, options, prepared.conditions, workers, progress=tell)
    return Identification(found, known.experiment, prepared.notes)


def _several(images: OneSource | Sequence[OneSource]) -> Sequence[OneSource]:
    """One or several sources, as a list."""
    if isinstance(images, list | tuple):
        return images
    return [images]  # type: ignore[list-item]


def _stacks_of(source: OneSource) -> Iterator[ImageStack]:
    if isinstance(source, ImageStack):
        yield source
    elif isinstance(source, str | os.PathLike | Place):
        yield read_images(source if isinstance(source, Place) else os.fspath(source))
    elif isinstance(source, Run):
        yield from _stacks_of_run(source)
    elif isinstance(source, LabelledArray):
        yield ImageStack("images", *_frames(source, {}))
    else:
        frames = np.asarray(source)
        if frames.ndim not in (2, 3) or frames.dtype.kind not in "fiu":
            raise InputError(
                "images",
                None,
                f"{frames.dtype} of shape {frames.shape} is no image; give files, runs or arrays "
                "(rows, columns)",
            )
        frames = frames.reshape(-1, *frames.shape[-2:])
        yield ImageStack("images", frames, ({},) * len(frames))


def _stacks_of_run(run: Run) -> Iterator[ImageStack]:
    """The frames of a run, a stack for each reflection, with all that the run tells of them."""
    experiment, images = run.experiment, run.images
    scan = experiment.scan
    stands = {
        "phi": 1e-3 * scan.phi.positions[0],
        "chi": 1e-3 * scan.chi.positions[0],
        "two_theta": 1e-3 * scan.arm.positions[0],
        "z": scan.z.positions[0],
    }
    resolved = resolve(experiment)
    for number, at in enumerate(resolved.reflections):
        part = images[number] if "reflection" in images.dims else images
        yield ImageStack(
            "run",
            *_frames(part, stands),
            experiment.camera.pixel_um * experiment.camera.binning,
            experiment.beam.energy_keV,
            plane_of(at.reflection.hkl, resolved.crystal.cell, f"{at.key}.hkl"),
            experiment.to_toml(),
        )


def _frames(
    images: LabelledArray, stands: Mapping[str, float]
) -> tuple[NDArray[Any], tuple[Mapping[str, float], ...]]:
    """The frames of a labelled array, and where the motors stood in each of them."""
    motors, outer = images.dims[:-2], images.shape[:-2]
    places = [
        {
            **stands,
            **{
                motor: float(images.coords[motor][k])
                for motor, k in zip(motors, index, strict=True)
                if motor in SCANNED
            },
        }
        for index in np.ndindex(*outer)
    ]
    return images.values.reshape(-1, *images.shape[-2:]), tuple(places)


def _library_of(
    library: str | os.PathLike[str] | Library | Experiment, workers: int | None
) -> Library:
    if isinstance(library, Library):
        return library
    if isinstance(library, Experiment):
        return make_library(library, workers)
    return read_library(library)


def _priors(experiment: Experiment, changes: Mapping[str, Any]) -> NuisancePriors:
    """What the library's experiment states of nuisances, with some keys changed."""
    table: Nuisance | None = identify_table(experiment).nuisance
    if changes:
        changed = experiment.replace(identify={"nuisance": dict(changes)})
        table = identify_table(changed).nuisance
    return NuisancePriors.of(table)


@contextmanager
def _in_units_of_arguments() -> Iterator[None]:
    """Let mistakes of the preparation name arguments, which have units of their own."""
    try:
        yield
    except InputError as error:
        name = {"phi": "phi_mrad", "pixel_um": "pixel_nm"}.get(error.key, error.key)
        value: Any = error.value
        if name != error.key and value is not None:
            many = isinstance(value, Sequence)
            value = [round(1e3 * x, 9) for x in value] if many else round(1e3 * value, 9)
        raise InputError(name, value, error.allowed) from None


def _row(candidate: Candidate, best: float) -> dict[str, Any]:
    """What the table says of a candidate."""
    kind, fit = candidate.type, candidate.refinement
    row: dict[str, Any] = {
        "type": kind.name,
        "plane": kind.plane,
        "burgers": kind.burgers,
        "character_deg": kind.character_deg if fit is None else fit.type.character_deg,
        "probability": candidate.cautious_probability,
        "below": best - candidate.log_evidence,
        "misfit": candidate.misfit,
        "correlation": candidate.correlation,
    }
    if fit is None:
        names: Sequence[str] = ("row_px", "column_px")
        values, errors = candidate.shift_px[0], candidate.shift_errors_px[0]
    else:
        names, values, errors = fit.names, fit.values, fit.errors
    for name, value, error in zip(names, values, errors, strict=False):
        if name.endswith(("_px", "_um")):
            row[name] = float(value)
            row[f"{name}_error"] = float(error) if math.isfinite(error) else None
    return row
