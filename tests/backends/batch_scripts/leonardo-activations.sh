#!/bin/bash

# Parameters
#SBATCH --array=0-2%2
#SBATCH --cpus-per-task=8
#SBATCH --dependency=afterany:17
#SBATCH --gres=gpu:1
#SBATCH --job-name=activations-31e7b1bb-abc123
#SBATCH --mem=122880M
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output=/scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-activations/%A_%a_0_log.out
#SBATCH --partition=boost_usr_prod
#SBATCH --requeue
#SBATCH --signal=B:CONT@1
#SBATCH --time=1380

# setup
[ -O /scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-activations ] || { echo 'panic-hpc: the folder of this job is not its user'\''s' >&2; exit 78; }
export PANIC_HPC_DEADLINE="${SLURM_JOB_END_TIME:-$(( $(date +%s) + 82800 ))}"
[ -z "${SLURM_CPUS_PER_TASK:-}" ] || export SRUN_CPUS_PER_TASK="$SLURM_CPUS_PER_TASK"
export OMP_NUM_THREADS=1
export MKL_NUM_THREADS=1
export OPENBLAS_NUM_THREADS=1
export NUMEXPR_NUM_THREADS=1
export VECLIB_MAXIMUM_THREADS=1
export TOKENIZERS_PARALLELISM=false
export PANIC_HPC_IMAGE_DIGEST=sha256:0123abcd
export PANIC_HPC_BUILD=b1
export HF_HUB_OFFLINE=1
export TRANSFORMERS_OFFLINE=1
export HF_HUB_DISABLE_TELEMETRY=1
export PYTHONNOUSERSITE=1
export PYTHONSAFEPATH=1
export HF_HOME=/scratch/me/panic/cache/huggingface
export XDG_CACHE_HOME=/scratch/me/panic/cache/xdg
export TORCHINDUCTOR_CACHE_DIR=/scratch/me/panic/cache/inductor
export TRITON_CACHE_DIR=/scratch/me/panic/cache/triton
export MPLCONFIGDIR=/scratch/me/panic/cache/matplotlib
export SINGULARITYENV_PYTHONSAFEPATH=1

# command
export SUBMITIT_EXECUTOR=slurm
srun --unbuffered --output /scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-activations/%A_%a_%t_log.out --kill-on-bad-exit=0 --wait=0 singularity exec --nv --no-home --bind /scratch/me --bind /scratch/me/panic/cache --bind /scratch/me/EXP /scratch/me/panic-hpc.sif python3 -u -m submitit.core._submit /scratch/me/EXP/jobs/submitit/20261120T101112-abc123-000-activations


# teardown
rc=$?
if [ "$rc" -eq 85 ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-$SLURM_JOB_ID}" && sleep 120
  echo 'panic-hpc: this job was not requeued; submit again to go on'
fi
exit "$rc"