# SPDX-License-Identifier: Apache-2.0
"""What rt-app itself says of its jobs."""


def jobs_in(log):
    """A dictionary, column -> number, of each job in the log of one of its threads."""
    lines = log.read_text().splitlines()
    names = next(line for line in lines if line.startswith("#idx")).split()
    return [dict(zip(names, map(int, l.split()))) for l in lines if l and not l.startswith("#")]
