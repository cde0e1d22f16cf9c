"""What the exit codes of commands and workers mean; docs/hpc-guide.md has them as a table."""

OK = 0
"""Everything asked for is done, submitted, or found sound."""
ERROR = 1
"""An error, which is told; of a worker: some shards failed; of a check: something was found."""
USAGE = 2
"""An option or argument is wrong; of `verify`: a file could not be checked at all."""
INCOMPLETE = 3
"""`submit` and `retry` on this machine: some shards failed or wait for others."""
FOREIGN_FOLDER = 78
"""A batch script whose folder of pickles is not its user's: it runs nothing."""
# Outside of sysexits and the shell's codes; seen to come through Apptainer and srun unchanged.
INTERRUPTED = 85
"""Stopped in a state from which the same command goes on; batch scripts requeue on it."""
CTRL_C = 130
"""A verb was interrupted; what it had published stays, and nothing half is there."""
SIGNALLED = 143
"""A worker was stopped by a signal, after its checkpoint."""
