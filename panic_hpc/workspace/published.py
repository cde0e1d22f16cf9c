"""Whether the work of a shard is done."""

from panic_hpc.paths import ExperimentPaths
from panic_hpc.store.completeness import dataset_problem
from panic_hpc.types import MERGE, Shard


def is_published(paths: ExperimentPaths, shard: Shard) -> bool:
    """Return whether the file of `shard` is there and, a dataset, lacks nothing."""
    path = paths.shard(shard)
    return path.exists() and (shard.stage != MERGE or not dataset_problem(path))
