"""Measurements one after another, of which a run that is ended early, or a device that fails, spoils but one."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """Something to be measured: an entry of one of the record's lists."""

    section: str
    entry: Record  # what names it
    run: Callable[[], Record]  # what is found
    seconds: float = 20.0  # that it may take


def fill_record(
    record: Record, jobs: Iterable[Job], write: Callable[[Record], None], limit: float, answers: Callable[[], bool]
) -> bool:
    """Do the jobs that a record lacks while there is time, and write it after each.

    Parameters
    ----------
    record
        Filled with an entry for each job; one that failed has its error, and the others go on.
    write
        Of the record, so that a run that is ended keeps what it has measured.
    limit
        Seconds, over all runs that fill the record.
    answers
        Whether the device still does anything for this process.

    Returns
    -------
    alive
        False where it does not: another process has to go on.
    """
    begin, before = time.monotonic(), record.get("seconds", 0.0)
    for job in jobs:
        entries = record.setdefault(job.section, [])
        if any(job.entry.items() <= entry.items() for entry in entries):
            continue
        record["seconds"] = before + time.monotonic() - begin
        if record["seconds"] + job.seconds > limit:
            entries.append({**job.entry, "failed": "no time left"})
            continue
        try:
            entries.append({**job.entry, **job.run()})
        except Exception as error:  # of whatever kind: a compiler's and a driver's are their own
            entries.append({**job.entry, "failed": f"{type(error).__name__}: {error}"[:500]})
        write(record)
        if "failed" in entries[-1] and not answers():
            return False
    return True
