#!/usr/bin/env bash
# Workers as a Slurm job array, one on each of eight nodes or GPUs:
#
#   export SWEEP_STORAGE=postgresql://ann@db.example/sweeps   # its password: in ~/.pgpass, mode 600
#   export SWEEP_ARTIFACTS=/shared/ann/sweep                  # a directory that all nodes see
#   export SWEEP_DATA_DIR=/shared/ann/cifar10                 # where nodes have no internet
#   sweep submit study.yaml && sbatch docker/slurm.sh
#
# `sbatch --array=0-31 --gpus-per-node=1 docker/slurm.sh` overrides what is set here.
#SBATCH --job-name=sweep
#SBATCH --array=0-7
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=16G
#SBATCH --time=12:00:00
# Three minutes before the time is up, the worker (not this script) is told to end: it finishes the
# running epochs and checkpoints their trials, which go on elsewhere. `scancel --signal=TERM JOB`
# does the same; `scancel JOB` and preemption kill what has not ended after KillWait or GraceTime.
#SBATCH --signal=TERM@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=sweep-%A_%a.log
set -euo pipefail

: "${SWEEP_STORAGE:?name the database that all nodes reach}"
: "${SWEEP_ARTIFACTS:?name a directory that all nodes see}"
case $SWEEP_STORAGE in
  postgres*) ;;
  *) echo "SWEEP_STORAGE: nodes share a PostgreSQL server, not a file" >&2; exit 2 ;;
esac

# Decoded images and compiled programs, on the node's own disk and kept there for the next job.
export SWEEP_CACHE_DIR="${SWEEP_CACHE_DIR:-${TMPDIR:-/tmp}/sweep-$(id -un)}"

# SIGTERM reaches every process of a job that is cancelled. This one lives on until the worker ends.
trap : TERM
# A worker has a task of its own: `srun` binds it to its cores and GPUs, which it finds by itself.
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" sweep worker --idle-exit "$@"
