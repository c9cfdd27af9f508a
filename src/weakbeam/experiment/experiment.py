"""The experiment: crystal, defects, instrument, reflection, scan, in one validated description."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, TypedDict, Unpack

from pydantic import (
    Field,
    StrictBool,
    model_validator,
)
from pydantic.functional_validators import ModelWrapValidatorHandler

from weakbeam.experiment.camera import Camera
from weakbeam.experiment.crystal import Crystal
from weakbeam.experiment.defects import DEFAULT_DEFECT, DefectTable
from weakbeam.experiment.files import beside, with_files
from weakbeam.experiment.identify import Identify
from weakbeam.experiment.instrument import (
    Acceptance,
    Beam,
    Objective,
)
from weakbeam.experiment.populations import (
    AllDefects,
)
from weakbeam.experiment.presets import PresetName, fill_from_preset, forget
from weakbeam.experiment.reflection import AllReflections, Reflection, Reflections
from weakbeam.experiment.scan import Scan
from weakbeam.experiment.settings import apply_settings
from weakbeam.experiment.tables import Table
from weakbeam.experiment.toml_text import experiment_text, parse_toml, read_toml


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


class Compatibility(Table):
    """What is done as another program does it, to compare with its images."""

    dfxm_geo_projection: StrictBool = Field(
        False, description="points of a pixel stand above each other, on the grid of dfxm-geo 3.0"
    )


class ExperimentKeys(TypedDict, total=False):
    """What an experiment is made of, tables or mappings of their keys; for editors."""

    preset: PresetName
    crystal: Crystal | Mapping[str, Any]
    reflection: Reflection | Mapping[str, Any] | None
    reflections: Sequence[Reflection | Mapping[str, Any]] | None
    all_reflections: AllReflections | Mapping[str, Any] | None
    beam: Beam | Mapping[str, Any]
    objective: Objective | Mapping[str, Any]
    camera: Camera | Mapping[str, Any]
    defects: Sequence[DefectTable | Mapping[str, Any]]
    scan: Scan | Mapping[str, Any]
    acceptance: Acceptance | Mapping[str, Any]
    output: Output | Mapping[str, Any]
    compatibility: Compatibility | Mapping[str, Any] | None
    identify: Identify | Mapping[str, Any] | None


class Experiment(Table):
    """Everything that decides what the images show.

    ``Experiment()`` is the default: one image of one edge dislocation in aluminium.
    Instances are immutable; `replace`, `model_copy` and `with_settings` return changed ones.

    Examples
    --------
    >>> experiment = Experiment(beam=Beam(energy_keV=19.0))
    >>> Experiment.from_toml_text(experiment.to_toml()) == experiment
    True
    >>> experiment.with_settings(["scan.phi.half_range_mrad=0.6", "scan.phi.steps=61"]).scan.frames
    61
    """

    exclusive = (("reflection", "reflections", "all_reflections"),)
    instead = (("reflections", "reflection"), ("all_reflections", "reflection"))

    preset: PresetName = Field(
        "id06", description="The instrument whose values hold for keys that are not given."
    )
    crystal: Crystal = Field(Crystal(), description="The crystal and how it is mounted.")
    reflection: Reflection | None = Field(
        Reflection(), description="The reflection that forms the image."
    )
    reflections: Reflections | None = Field(
        None, description="Several reflections of the same defects, in place of one."
    )
    all_reflections: AllReflections | None = Field(
        None,
        description="All reflections of a kind that one mount reaches, oblique, in place of one.",
    )
    beam: Beam = Field(Beam(), description="The incident beam.")
    objective: Objective = Field(
        Objective(), description="The objective lens, by the angles that it accepts."
    )
    camera: Camera = Field(Camera(), description="The camera, seen in the object plane.")
    defects: AllDefects = Field(
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
    compatibility: Compatibility | None = Field(
        None, description="What is done as another program does it, to compare with its images."
    )
    identify: Identify | None = Field(
        None, description="The candidates that weakbeam identify generate makes images of."
    )

    if TYPE_CHECKING:

        def __init__(self, **tables: Unpack[ExperimentKeys]) -> None: ...

        def replace(  # type: ignore[override]
            self, **changes: Unpack[ExperimentKeys]
        ) -> Self:
            """See :meth:`.Table.replace`."""
            ...

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
            The file; an empty one is the default experiment. Names of files in it count from its
            own folder.

        Raises
        ------
        InputError
            If the file cannot be read or a value is not allowed: one line that names the key, the
            value and what is allowed.
        """
        experiment = cls.model_validate(read_toml(path))
        return with_files(experiment, beside(os.path.dirname(os.fspath(path))))

    @classmethod
    def from_toml_text(cls, text: str, source: str = "experiment") -> Self:
        """Read an experiment from TOML text; `source` names it in messages about syntax.

        Names of files in it count from the current folder.
        """
        return cls.model_validate(parse_toml(text, source))

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
        return self.model_validate(apply_settings(self, settings))

    @property
    def digest(self) -> str:
        """SHA-256 of the TOML text, hexadecimal: equal for equal experiments."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()
