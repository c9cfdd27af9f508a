"""Files to start a sweep from: a manifest, and batch scripts for clusters without Dask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Script:
    """A file to start from.

    Parameters
    ----------
    name : str
        Its name among the templates.
    file : str
        The name of the file.
    description : str
        What it is for, in one line.
    text : str
        The file.
    """

    name: str
    file: str
    description: str
    text: str


_SWEEP = """\
# Many experiments: a base experiment and what varies in it.
# See what it is:  weakbeam sweep sweep.toml --dry-run
# Simulate it:     weakbeam sweep sweep.toml -o sweep
# How it stands:   weakbeam sweep status sweep

# The base experiment: a file beside this one, or, as below, tables of it under [experiment].
# base = "experiment.toml"

# Each [[axes]] is a key of the experiment and its values; all combinations are simulated. The first
# axis is the slowest.
[[axes]]
key = "scan.phi.value_mrad"
start = -0.2                       # a range, both ends included; or values = [-0.2, 0, 0.2]
stop = 0.2
steps = 5

# Keys that vary together, in step:
[[axes]]
keys = ["defects[0].burgers", "defects[0].line"]
values = [
    [[1, 0, -1], [1, -2, 1]],
    [[1, 0, -1], [1, 0, -1]],
]

# Seeds 0 to 9, of a camera that counts:
# [[axes]]
# key = "camera.seed"
# seeds = 10

# Points that fill a space of several keys evenly, drawn for every combination of the axes:
[draw]
method = "sobol"                   # or "latin-hypercube"
count = 4                          # number of points
seed = 1                           # another seed draws other points

[[draw.ranges]]
key = "defects[0].position_um[1]"
low = -1.0
high = 1.0
# scale = "log"                    # uniform in the logarithm
# whole = true                     # whole numbers

[output]
format = "hdf5"                    # or for training "webdataset" (tar) or "zarr" (zip)
tasks_per_shard = "auto"           # experiments in a file

[executor]
kind = "local"                     # or "dask", "slurm", "lsf"; --executor takes precedence
# workers = 4                      # processes, or jobs of a cluster; default: the cores, or 1 job
# threads = 1                      # threads of each process
# retries = 2                      # how often a file is tried again whose worker was lost
# address = "tcp://host:8786"      # of a Dask scheduler that runs
# queue = "long"                   # queue or partition of the cluster
# project = "myproject"            # project or account that pays
# walltime = "02:00:00"            # longest time of a job ("02:00" for LSF)
# cores = 8                        # cores of a job
# memory_GB = 16.0                 # memory of a job
# interface = "ib0"                # network interface
# directives = ["--constraint=cpu"]         # more lines for the head of the job script
# prologue = ["module load python"]         # commands before the worker starts

[experiment.camera]
pixels = [100, 300]

[experiment.beam]
height_fwhm_um = 0.6
"""

_SLURM = """\
#!/bin/bash
# A sweep as an array of SLURM jobs, without Dask. Submit it:  sbatch slurm.sh
# The jobs share the files of the sweep. What is complete stays: after a failure submit it again.

#SBATCH --job-name=weakbeam
#SBATCH --array=1-8
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=02:00:00
#SBATCH --output=weakbeam-%A-%a.log
##SBATCH --partition=NAME
##SBATCH --account=NAME

PARTS=8                            # the last number of --array
MANIFEST=sweep.toml
OUTPUT=sweep

# What makes weakbeam available on your cluster:
# module load python
# source ~/weakbeam/bin/activate

exec weakbeam sweep "$MANIFEST" --output "$OUTPUT" --resume \\
    --part "$SLURM_ARRAY_TASK_ID/$PARTS" --workers "${SLURM_CPUS_PER_TASK:-1}"
"""

_LSF = """\
#!/bin/bash
# A sweep as an array of LSF jobs, without Dask. Submit it:  bsub < lsf.sh
# The jobs share the files of the sweep. What is complete stays: after a failure submit it again.

#BSUB -J "weakbeam[1-8]"
#BSUB -n 4
#BSUB -R "span[hosts=1]"
#BSUB -R "rusage[mem=4GB]"
#BSUB -W 02:00
#BSUB -o weakbeam-%J-%I.log
##BSUB -q NAME
##BSUB -P NAME

PARTS=8                            # the last number of the array
MANIFEST=sweep.toml
OUTPUT=sweep

# What makes weakbeam available on your cluster:
# module load python
# source ~/weakbeam/bin/activate

exec weakbeam sweep "$MANIFEST" --output "$OUTPUT" --resume \\
    --part "$LSB_JOBINDEX/$PARTS" --workers "${LSB_DJOB_NUMPROC:-1}"
"""

_ALL = (
    Script("sweep", "sweep.toml", "A manifest for weakbeam sweep: many experiments.", _SWEEP),
    Script("slurm", "slurm.sh", "A batch script that runs a sweep as an array on SLURM.", _SLURM),
    Script("lsf", "lsf.sh", "A batch script that runs a sweep as an array on LSF.", _LSF),
)

SCRIPTS: Mapping[str, Script] = MappingProxyType({script.name: script for script in _ALL})
"""The files by their names among the templates."""
