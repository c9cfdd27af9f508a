"""The experiment: crystal, defects, instrument, reflection, scan. One validated description.

The defaults stand here and nowhere else; templates and the reference page are made from these
models. Every number is in the unit that its name ends with. The classes check each value by itself;
what needs physics (is the reflection reachable, does the Burgers vector lie in the plane) is
checked where the physics is.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    Field,
    ModelWrapValidatorHandler,
    StrictBool,
    StrictFloat,
    ValidationError,
    model_validator,
)

from weakbeam._fields import (
    Direction,
    Indices,
    MaterialName,
    Position,
    SpaceGroup,
    Table,
    between,
    number,
)
from weakbeam._instrument import (
    Acceptance,
    Beam,
    Camera,
    CentralStop,
    KnifeEdge,
    Lens,
    Objective,
    RoundAperture,
    SpectralLine,
    SquareAperture,
    Wire,
)
from weakbeam._mistakes import input_error
from weakbeam._presets import PresetName, fill_from_preset, forget
from weakbeam._scan import AngleAxis, HeightAxis, Scan
from weakbeam._settings import apply_settings
from weakbeam.errors import InputError
from weakbeam.toml_text import experiment_text, parse_toml, read_toml

__all__ = [
    "Acceptance",
    "AngleAxis",
    "Beam",
    "Camera",
    "Cell",
    "CentralStop",
    "Crystal",
    "Dislocation",
    "Experiment",
    "HeightAxis",
    "KnifeEdge",
    "Lens",
    "Objective",
    "Output",
    "Reflection",
    "RoundAperture",
    "Scan",
    "SpectralLine",
    "SquareAperture",
    "Wire",
]

Length = Annotated[StrictFloat, number(0.5, 1000)]
CellAngle = Annotated[StrictFloat, number(1, 179)]


class Cell(Table):
    """Unit cell of the undeformed crystal."""

    inline: ClassVar[bool] = True

    a: Length = Field(description="length of the first edge, angstrom")
    b: Length = Field(description="length of the second edge, angstrom")
    c: Length = Field(description="length of the third edge, angstrom")
    alpha: CellAngle = Field(description="angle between b and c, degrees")
    beta: CellAngle = Field(description="angle between a and c, degrees")
    gamma: CellAngle = Field(description="angle between a and b, degrees")

    @model_validator(mode="after")
    def _has_a_volume(self) -> Self:
        angles = self.alpha, self.beta, self.gamma
        if sum(angles) >= 360 or 2 * max(angles) >= sum(angles):
            raise InputError(
                "alpha",
                self.alpha,
                f"with beta = {self.beta:g} and gamma = {self.gamma:g} no cell closes; each angle "
                "must be less than the sum of the other two, and all three less than 360",
            )
        return self


class Crystal(Table):
    """A material of the built-in table, or a unit cell with its space group."""

    # The default material must not lend its elastic constants to another crystal.
    instead = (("cell", "material"),)

    material: MaterialName | None = Field(
        "Al", description="name in the table of materials; keys beside it override it"
    )
    cell: Cell | None = Field(
        None,
        description="unit cell, angstrom and degrees; without a material it needs space_group and "
        "poisson_ratio",
    )
    space_group: SpaceGroup | None = Field(None, description="Hermann-Mauguin symbol")
    poisson_ratio: Annotated[StrictFloat, between(-1, 0.5)] | None = Field(
        None, description="default: the material's", examples=[0.334]
    )
    core_radius_nm: Annotated[StrictFloat, number(0, 1e4)] | None = Field(
        None, description="core of the dislocations; default: |b|; 0: none", examples=[0.286]
    )
    x_axis: Indices = Field((1, 0, -1), description="crystal direction [uvw] along x of the sample")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.material is None:
            if self.cell is None:
                raise InputError("material", None, "missing; give material, or cell")
            for key in ("space_group", "poisson_ratio"):
                if getattr(self, key) is None:
                    raise InputError(key, None, "missing; a cell without a material needs it")
        return self


class Reflection(Table):
    """The reflection that forms the image."""

    hkl: Indices = Field((-1, 1, -1), description="Miller indices")
    geometry: Literal["symmetric"] = Field(
        "symmetric", description="the diffraction vector lies in the plane of beam and vertical"
    )


class Dislocation(Table):
    """A straight dislocation."""

    forms = (("line",), ("character_deg",))

    kind: Literal["dislocation"] = Field("dislocation", description="kind of defect")
    plane: Indices | None = Field(
        None,
        description="slip plane (hkl), needed with character_deg; otherwise a label",
        examples=[(1, 1, 1)],
    )
    burgers: Indices = Field(description="direction [uvw] of the Burgers vector")
    burgers_nm: Annotated[StrictFloat, number(1e-3, 100)] | None = Field(
        None, description="length of the Burgers vector; default: from the structure"
    )
    line: Direction | None = Field(
        None, description="direction [uvw] of the line", examples=[(1.0, -2.0, 1.0)]
    )
    character_deg: Annotated[StrictFloat, number(-360, 360)] | None = Field(
        None, description="instead of line: 0 edge, 90 screw", examples=[0.0]
    )
    position_um: Position = Field(
        (0.0, 0.0, 0.0), description="a point of the line in the sample frame"
    )

    @model_validator(mode="after")
    def _has_one_line(self) -> Self:
        if self.line is not None and self.character_deg is not None:
            raise InputError(
                "character_deg", self.character_deg, "give either line or character_deg"
            )
        if self.line is None and self.character_deg is None:
            raise InputError("line", None, "missing; give line, or plane and character_deg")
        if self.character_deg is not None and self.plane is None:
            raise InputError("plane", None, "missing; character_deg is an angle in that plane")
        return self


class Output(Table):
    """What is written."""

    perfect_crystal: StrictBool = Field(
        False, description="also simulate the crystal without defects"
    )
    field: StrictBool = Field(False, description="also store the deformation field")
    compression: Literal["gzip", "none", "bitshuffle-lz4"] = Field(
        "gzip", description='"gzip", "none", or "bitshuffle-lz4" (needs hdf5plugin)'
    )
    layout: Literal["single", "bliss"] = Field(
        "single", description='"single" file, or "bliss": a master and one file per scan'
    )
    figures: StrictBool = Field(True, description="draw the figures")


DEFAULT_DEFECT = Dislocation(plane=(1, 1, 1), burgers=(1, 0, -1), line=(1.0, -2.0, 1.0))


class Experiment(Table):
    """Everything that decides what the images show.

    ``Experiment()`` is the default: one image of one edge dislocation in aluminium.
    Instances are immutable; `model_copy` and `with_settings` return changed ones.

    Examples
    --------
    >>> experiment = Experiment(beam=Beam(energy_keV=19.0))
    >>> Experiment.from_toml_text(experiment.to_toml()) == experiment
    True
    >>> experiment.with_settings(["scan.phi.half_range_mrad=0.6", "scan.phi.steps=61"]).scan.frames
    61
    """

    preset: PresetName = Field(
        "id06", description="The instrument whose values hold for keys that are not given."
    )
    crystal: Crystal = Field(Crystal(), description="The crystal and how it is mounted.")
    reflection: Reflection = Field(Reflection(), description="The reflection that forms the image.")
    beam: Beam = Field(Beam(), description="The incident beam.")
    objective: Objective = Field(
        Objective(), description="The objective lens, by the angles that it accepts."
    )
    camera: Camera = Field(Camera(), description="The camera, seen in the object plane.")
    defects: tuple[Dislocation, ...] = Field(
        (DEFAULT_DEFECT,),
        description="The defects, any number; defects = [] is a perfect crystal.",
    )
    scan: Scan = Field(
        Scan(),
        description="The motors: each at a value, over a range (half_range + steps, + center), "
        "or at listed values.",
    )
    acceptance: Acceptance = Field(
        Acceptance(), description="How the acceptance in reciprocal space is computed."
    )
    output: Output = Field(Output(), description="What is written.")

    @model_validator(mode="wrap")
    @classmethod
    def _has_the_values_of_its_preset(
        cls, data: Any, handler: ModelWrapValidatorHandler[Self]
    ) -> Self:
        filled, added = fill_from_preset(data, cls)
        experiment = handler(filled)
        forget(experiment, added)
        return experiment

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Self:
        """Read an experiment file.

        Parameters
        ----------
        path : path-like
            The file; an empty one is the default experiment.

        Raises
        ------
        InputError
            If the file cannot be read or a value is not allowed: one line that names the key, the
            value and what is allowed.
        """
        return cls._from_data(read_toml(path))

    @classmethod
    def from_toml_text(cls, text: str, source: str = "experiment") -> Self:
        """Read an experiment from TOML text; `source` names it in messages about syntax."""
        return cls._from_data(parse_toml(text, source))

    def to_toml(self, comments: bool = False) -> str:
        """Write the experiment as TOML with every default spelt out.

        Reading the text gives an equal experiment, floats to the last bit. With `comments`, every
        key is explained and optional keys are shown commented out.
        """
        return experiment_text(self, comments)

    def with_settings(self, settings: Sequence[str]) -> Self:
        """Return the experiment with settings of the form ``key=value`` applied.

        Parameters
        ----------
        settings : sequence of str
            Such as ``"beam.energy_keV=19"`` or ``"defects[0].line=[1, 0, -1]"``. A value is TOML,
            or else a bare string. A key of another form replaces the previous form: setting
            ``scan.phi.value_mrad`` ends a range of phi.

        Raises
        ------
        InputError
            If a setting cannot be read or its key or value is not allowed.
        """
        return self._from_data(apply_settings(self, settings))

    @property
    def digest(self) -> str:
        """SHA-256 of the TOML text, hexadecimal: equal for equal experiments."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()

    @classmethod
    def _from_data(cls, data: Mapping[str, Any]) -> Self:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            raise input_error(error.errors(include_url=False), data, cls) from None
