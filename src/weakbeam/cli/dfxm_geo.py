"""The commands of dfxm-geo: those of weakbeam, with its flags beside ours, and with its files.

A file of dfxm-geo is converted in memory; what changes in meaning is told on stderr.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from weakbeam.cli import bootstrap as kernel_command
from weakbeam.cli import forward as forward_command
from weakbeam.cli import reflections as reflections_command
from weakbeam.cli.identify_generate import generate
from weakbeam.cli.init import write_templates
from weakbeam.cli.options import READER, OutputPath, text_with_flags
from weakbeam.cli.show import show
from weakbeam.errors import InputError

if TYPE_CHECKING:
    from weakbeam.compat.conversion import Conversion
    from weakbeam.experiment import Experiment

Values = dict[str, Any]

_KERNEL, _SILENT = f"{__name__}.KERNEL", f"{__name__}.SILENT"
"""Keys of click's ``meta``: the grid of a kernel is wanted; notes are not."""


def _command(
    name: str, like: click.Command, options: list[click.Parameter], run: Callable[..., Any]
) -> click.Command:
    """A command with the options of another one and more of its own."""

    def callback(**values: Any) -> Any:
        context = click.get_current_context()
        context.meta[READER] = _read
        return run(context, values)

    return click.Command(
        name,
        callback=callback,
        params=[*options, *like.params],
        help=f"{like.help}\n\nReads files of dfxm-geo, too, and has its options.",
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _conversion(config: Path, *, kernel: bool = False) -> Conversion | None:
    """What a file of dfxm-geo says; None for an experiment."""
    from weakbeam.compat.conversion import convert, is_dfxm_geo
    from weakbeam.experiment.toml_text import read_toml

    data = read_toml(config)
    if not is_dfxm_geo(data):
        return None
    return convert(data, folder=config.parent, kernel=kernel)


def _read(config: Path) -> Experiment:
    """Read an experiment of either program."""
    from weakbeam.experiment import Experiment

    context = click.get_current_context()
    conversion = _conversion(config, kernel=_KERNEL in context.meta)
    if conversion is None:
        return Experiment.from_toml(config)
    if not (context.params.get("quiet") or _SILENT in context.meta):
        for line in conversion.notes.grouped():
            click.echo(f"note: {text_with_flags(line)}", err=True)
    return conversion.experiment


# ---------------------------------------------------------------------------- dfxm-forward


def _forward(context: click.Context, values: Values) -> None:
    no_figures, figures_only = values.pop("no_postprocess"), values.pop("postprocess_only")
    if figures_only:
        from weakbeam.run.folder import FILE

        context.invoke(show, files=(values["output"] / FILE,), overwrite=True)
        return
    if values["config"] is None:
        allowed = "is missing; weakbeam forward has a built-in experiment, dfxm-forward has none"
        raise InputError("--config", None, allowed)
    if no_figures:
        values["settings"] = (*values["settings"], "output.figures=false")
    context.invoke(forward_command.forward, **values)


forward = _command(
    "dfxm-forward",
    forward_command.forward,
    [
        click.Option(["--no-postprocess"], is_flag=True, help="Draw no figures."),
        click.Option(["--postprocess-only"], is_flag=True, help="Only draw figures of a run."),
    ],
    _forward,
)


# -------------------------------------------------------------------------- dfxm-bootstrap


def _bootstrap(context: click.Context, values: Values) -> None:
    context.meta[_KERNEL] = True
    conversion = values["config"] and _conversion(values["config"], kernel=True)
    if conversion:
        for name, value in conversion.kernel.items():
            if context.get_parameter_source(name) != ParameterSource.COMMANDLINE:
                values[name] = value
    context.invoke(kernel_command.bootstrap, **values)


bootstrap = _command("dfxm-bootstrap", kernel_command.bootstrap, [], _bootstrap)


# ------------------------------------------------------------------- dfxm-find-reflections


def _reflections(context: click.Context, values: Values) -> None:
    energy, theta_max = values.pop("kev"), values.pop("theta_max_deg")
    target, tolerance = values.pop("eta_target_deg"), values.pop("eta_tol_deg")
    if values.pop("hkl_max") is not None:
        click.echo("note: --hkl-max: ignored: the largest Bragg angle limits the indices", err=True)
    if energy is not None:
        values["energy"] = energy
    if theta_max is not None:
        values["theta_max"] = theta_max
    if target is not None:
        values["eta_range"] = (target - tolerance, target + tolerance)
    if values["config"] is not None and (conversion := _conversion(values["config"])):
        context.meta[_SILENT] = True
        values["geometry"] = values["geometry"] or "oblique"
        if values["mount"] is None:
            values["mount"] = conversion.mount
    context.invoke(reflections_command.reflections, **values)


reflections = _command(
    "dfxm-find-reflections",
    reflections_command.reflections,
    [
        click.Option(["--keV", "kev"], type=float, help="For --energy."),
        click.Option(["--theta-max-deg"], type=float, help="For --theta-max."),
        click.Option(["--eta-target-deg"], type=float, help="Only reflections near this azimuth."),
        click.Option(
            ["--eta-tol-deg"], type=float, default=0.06, show_default=True, help="How near."
        ),
        click.Option(["--hkl-max"], type=int, help="Ignored."),
    ],
    _reflections,
)


# -------------------------------------------------------------------------- dfxm-identify


def _identify(context: click.Context, values: Values) -> None:
    context.invoke(generate, **values)


identify = _command("dfxm-identify", generate, [], _identify)


# ------------------------------------------------------------------------------ dfxm-init


@click.command("dfxm-init", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--dest",
    type=OutputPath(),
    default=Path("configs"),
    show_default=True,
    metavar="DIR",
    help="Folder for the files; made if it does not exist.",
)
@click.option("--force", is_flag=True, help="Overwrite files that exist; else they are kept.")
def init(dest: Path, force: bool) -> None:
    """Write commented experiments of weakbeam to start from, as `weakbeam init` does.

    \b
    Example:
      dfxm-init
      dfxm-forward --config configs/default.toml --output run
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.experiment.templates import TEMPLATES

    kept = [name for name in TEMPLATES if not force and (dest / f"{name}.toml").exists()]
    wanted = tuple(name for name in TEMPLATES if name not in kept)
    for path in write_templates(dest, wanted, force=force):
        click.echo(f"wrote {path}")
    for name in kept:
        click.echo(f"kept  {dest / f'{name}.toml'}")


PROGRAMS = {
    "dfxm-init": init,
    "dfxm-forward": forward,
    "dfxm-bootstrap": bootstrap,
    "dfxm-find-reflections": reflections,
    "dfxm-identify": identify,
}
"""The programs by their names."""
