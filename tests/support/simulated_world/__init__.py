"""A seeded world of one shared file system, one scheduler, hosts with clocks, and several users.

In it the real functions decide (leases, ledger, status, submission, retry, cancel, worker), and
only what acts is simulated: `doors.py` lists what is put in place of what.

    files.py      names that other hosts see late
    processes.py  processes, their hosts and the clock; each call to a door may be a process's last
    scheduler.py  what sbatch, squeue and scancel do
    work.py       stages that compute a tuple, and the worker that executes them
    history.py    users who submit, cancel and stop while all sorts of things happen
"""
