"""``weakbeam bootstrap``: ray-trace and store a tabulated acceptance."""

from __future__ import annotations

import math
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weakbeam.cli.options import (
    Number,
    count_option,
    experiment_of,
    experiment_options,
    output_option,
    quiet_option,
    workers_option,
)

if TYPE_CHECKING:
    from weakbeam.diffraction.raytrace import RayOptics
    from weakbeam.experiment import Experiment


@click.command()
@experiment_options
@output_option("The kernel file; its folder is made if need be.", "kernel.h5")
@click.option("--rays", type=float, default=1e8, metavar="N", help="Rays to draw.  [default: 1e8]")
@click.option(
    "--bins",
    type=click.IntRange(min=1),
    nargs=3,
    default=(400, 200, 200),
    metavar="N1 N2 N3",
    help="Voxels along rock', roll and 2theta.  [default: 400 200 200]",
)
@click.option(
    "--ranges",
    type=Number(1e-12, 10.0),
    nargs=3,
    metavar="R1 R2 R3",
    help="Full widths of the grid along rock', roll and 2theta, in units of |Q|, centred on the "
    "Bragg setting.  [default: what holds all rays]",
)
@click.option("--exact", is_flag=True, help="Kinematics without linearisation in the angles.")
@count_option(
    "--seed",
    default=0,
    least=0,
    most=2**63 - 1,
    help="Seed of the rays.",
)
@workers_option
@click.option("--overwrite", "--force", is_flag=True, help="Replace a file that is there.")
@click.option("--if-missing", is_flag=True, help="Do nothing where the file is there already.")
@quiet_option
def bootstrap(
    config: Path | None,
    output: Path,
    settings: tuple[str, ...],
    rays: float,
    bins: tuple[int, int, int],
    ranges: tuple[float, float, float] | None,
    exact: bool,
    seed: int,
    workers: int | None,
    overwrite: bool,
    if_missing: bool,
    quiet: bool,
) -> None:
    """Ray-trace the acceptance of an experiment and store it as a kernel file.

    Nothing needs one where the closed form is exact; it serves to check that, and instruments that
    have no closed form. Equal seeds give equal kernels, whatever the number of threads.

    \b
    Example:
      weakbeam bootstrap -c weak-beam.toml -o kernel.h5 --rays 1e8
      weakbeam show kernel.h5
    """  # noqa: D301 (click needs the character \b itself)
    from weakbeam.cli.progress import progress
    from weakbeam.diffraction.raytrace import trace
    from weakbeam.errors import InputError
    from weakbeam.io.kernel_file import check_writable, write_kernel
    from weakbeam.run.kept_inputs import with_whole_paths

    if if_missing and output.is_file():
        return
    experiment = experiment_of(config, settings)
    optics, conditions = ray_optics(experiment, exact=exact)
    if not (1.0 <= rays <= 1e15 and rays == int(rays)):
        raise InputError("--rays", rays, "must be a whole number from 1 to 1e15")
    _check_memory(rays, bins, workers)
    check_writable(output, overwrite=overwrite, inputs=[] if config is None else [config])
    box = None if ranges is None else [(-width / 2.0, width / 2.0) for width in ranges]
    started = time.monotonic()
    with progress(rays, "ray", "tracing", quiet) as update:
        try:
            kernel = trace(
                optics,
                int(rays),
                bins,
                box,
                seed=seed,
                workers=workers,
                progress=update,
                conditions=conditions,
            )
        except ValueError as error:
            raise InputError("--ranges", list(ranges or ()), str(error)) from None
    seconds = time.monotonic() - started
    write_kernel(
        output,
        kernel,
        overwrite=overwrite,
        configuration=with_whole_paths(experiment).to_toml(),
        workers=workers,
    )
    if not quiet:
        voxels = " x ".join(map(str, kernel.shape))
        click.echo(f"traced      {rays:.4g} rays in {seconds:.3g} s")
        click.echo(f"throughput  {kernel.throughput:.4g} of the uncut beam and lens")
        click.echo(f"outside     {kernel.outside:.3g} of the rays that pass lie outside the grid")
        click.echo(f"wrote       {output} ({voxels}, {output.stat().st_size / 1e6:.3g} MB)")
        click.echo(f"            weakbeam show {shlex.quote(str(output))} draws it")


def ray_optics(
    experiment: Experiment, *, exact: bool = False
) -> tuple[RayOptics, dict[str, object]]:
    """What the rays of an experiment meet, and the conditions that its kernel belongs to.

    Parameters
    ----------
    experiment : Experiment
        The description.
    exact : bool
        Kinematics without linearisation.

    Returns
    -------
    optics : RayOptics
    conditions : dict
        See `weakbeam.diffraction.kernel.conditions`.

    Raises
    ------
    InputError
        If the experiment contradicts physics.
    """
    from weakbeam.assemble import assemble
    from weakbeam.diffraction.raytrace import RayOptics
    from weakbeam.experiment import Acceptance

    # An experiment may well name the kernel that is about to be made.
    setup = assemble(experiment.model_copy(update={"acceptance": Acceptance()}))
    return RayOptics(setup.acceptance, setup.geometry, exact=exact), setup.conditions


def _check_memory(rays: float, bins: tuple[int, int, int], workers: int | None) -> None:
    from weakbeam.core.memory import physical_memory
    from weakbeam.core.workers import worker_count
    from weakbeam.errors import InputError

    # A grid of counters for each thread, then the densities and what writes them.
    counter = 4 if rays < 1 << 31 else 8
    needed = math.prod(bins) * (counter * worker_count(workers) + 12.0)
    available = physical_memory()
    if needed > 0.9 * available:
        raise InputError(
            "--bins",
            list(bins),
            f"needs {needed / 1e9:.3g} GB of memory and this machine has {available / 1e9:.3g} GB",
        )
