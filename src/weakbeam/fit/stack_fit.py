"""How dislocations of a stack are sought, and what is found."""

from __future__ import annotations

from dataclasses import dataclass

from weakbeam.core.arrays import Floats
from weakbeam.fit.fitted_defect import FittedDefect
from weakbeam.fit.stack_climb import Normal
from weakbeam.fit.stack_curves import ShiftMaps
from weakbeam.fit.stack_data import StackData
from weakbeam.fit.stack_model import StackModel, State


@dataclass(frozen=True)
class SearchOptions:
    """How dislocations are sought.

    Parameters
    ----------
    most : int
        Largest number of them.
    map_price : float
        By how much a line must raise the log-likelihood of the maps, in units of their misfit.
    price : float
        By how much it must raise that of the stack beyond what its place in it and its type cost.
    alternatives : float
        Types whose log-likelihood of the maps, in units of their misfit, is less below that of the
        best are compared on the stack.
    most_alternatives : int
        At most so many for each line.
    most_unexplained : int
        Where the stack is not explained, so many, and lines in the sheet at other depths.
    rounds : int
        How often what is left is searched again.
    width : int
        So many sets of lines are followed in the maps where the likeliest explains no stack.
    most_seconds : float
        So long, in processor time, another explanation is sought where there is none; lines that
        are found are refined whatever time that takes.
    """

    most: int = 40
    map_price: float = 40.0
    price: float = 12.0
    alternatives: float = 200.0
    most_alternatives: int = 2
    most_unexplained: int = 4
    rounds: int = 3
    width: int = 4
    most_seconds: float = 150.0


@dataclass(frozen=True, eq=False)
class Alternative:
    """Another line that was tried in the place of one.

    Parameters
    ----------
    line : FittedDefect
        At its best.
    log_evidence : float
        Relative to the line that was chosen, in units of the misfit.
    """

    line: FittedDefect
    log_evidence: float


@dataclass(frozen=True, eq=False)
class StackFit:
    """What a fit of a stack has found.

    Parameters
    ----------
    model : StackModel
        The model.
    data : StackData
        The stack.
    normal : Normal
        Best values of all parameters, and how well they are known.
    converged : bool
        Whether the climb has ended at a summit.
    alternatives : tuple of tuple of Alternative
        What else may be in the place of each line, the likeliest first.
    gains : tuple of float
        By how much each line raises the log-evidence, in units of the misfit; NaN where a line was
        given and not tried.
    misfit : (rows, columns) ndarray
        Mean squared residual over its variance of each pixel; NaN of those that do not count.
    noise_misfit : (rows, columns) ndarray
        The same with the variance of the noise alone, the model being allowed no error.
    residual : (rows, columns) ndarray
        Mean residual of each pixel in units of its standard error.
    residual_maps : ShiftMaps
        What of the lattice's shifts along the motors is left.
    moved : (n,) ndarray
        How far parameters move with the accuracy of the averages over pixels, those of loops and
        walls also from one climb to another.
    trail : tuple of str
        What was tried.
    given_up : bool
        Whether the search for what explains the stack has ended by its time.
    """

    model: StackModel
    data: StackData
    normal: Normal
    converged: bool
    alternatives: tuple[tuple[Alternative, ...], ...]
    gains: tuple[float, ...]
    misfit: Floats
    noise_misfit: Floats
    residual: Floats
    residual_maps: ShiftMaps
    moved: Floats
    trail: tuple[str, ...]
    given_up: bool = False

    @property
    def state(self) -> State:
        """The best values."""
        return self.normal.state
