#!/bin/bash

# Parameters
#SBATCH --array=0-2%2
#SBATCH --cpus-per-task=1
#SBATCH --dependency=afterany:17
#SBATCH --gpus-per-node=a100:1
#SBATCH --job-name=activations-31e7b1bb-abc123
#SBATCH --mem=922M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=/scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-activations/%A_%a_0_log.out
#SBATCH --partition=gpu
#SBATCH --requeue
#SBATCH --signal=B:CONT@1
#SBATCH --time=5

# setup
[ -O /scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-activations ] || { echo 'panic-hpc: the folder of this job is not its user'\''s' >&2; exit 78; }
export PANIC_HPC_DEADLINE="${SLURM_JOB_END_TIME:-$(( $(date +%s) + 300 ))}"
[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1
export NUMEXPR_NUM_THREADS=1
export VECLIB_MAXIMUM_THREADS=1
export TOKENIZERS_PARALLELISM=false
export HF_HUB_OFFLINE=1
export TRANSFORMERS_OFFLINE=1
export HF_HUB_DISABLE_TELEMETRY=1
export PYTHONNOUSERSITE=1
export PYTHONSAFEPATH=1

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-activations/%A_%a_%t_log.out --kill-on-bad-exit=0 --wait=0 /venv/bin/python -u -m submitit.core._submit /scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-activations


# teardown
rc=$?
if [ "$rc" -eq 85 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}" && sleep 120
  echo 'panic-hpc: this job was not requeued; submit again to go on'
fi
exit "$rc"