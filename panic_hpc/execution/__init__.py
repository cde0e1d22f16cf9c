"""Workers, executors, ledger and status; submitit only in executors."""
