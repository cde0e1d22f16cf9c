"""`python -m panic_hpc` is `panic-hpc`."""

from panic_hpc.cli import main

main()
