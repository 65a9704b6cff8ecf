"""All of OfficeBench's tasks, played by a clerk that knows the checks, and by one who does nothing.

    python -m benchmarks.officebench [--json]

It needs the published tasks in ../shared/data/officebench, and a sandbox. The clerk's calls are real ones; a task that
it cannot bring to 1 is named.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.office_clerk import nothing, work
from benchmarks.office_scripts import DATA, played
from understudy.tasks.office import load_office_tasks


def main() -> None:
    """Play all tasks twice, and print what came of them."""
    loaded = load_office_tasks(DATA)
    begun = time.monotonic()
    done = played(loaded.tasks, work)
    idle = played(loaded.tasks, lambda _: nothing())
    figures = {
        "tasks": len(loaded.tasks),
        "broken": list(loaded.broken),
        "clerk": sum(one.score for one in done),
        "not met": [one.task.task_id for one in done if one.score < 1],
        "nothing": sum(one.score for one in idle),
        "seconds": round(time.monotonic() - begun, 1),
    }
    if "--json" in sys.argv:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print(f"{name:10} {value}")


if __name__ == "__main__":
    main()
