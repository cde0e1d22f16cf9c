"""Do each workload in a folder of its own, FOLDER/KIND, to be watched: record_work.py FOLDER."""

import os
import sys
from pathlib import Path

from fault_workloads import WORKLOADS


def main(folder: Path) -> None:
    """Do the work of every workload for which there is a folder."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    for workload in WORKLOADS:
        if (folder / workload.kind).is_dir():
            workload.work(folder / workload.kind)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
