"""What runs in a process of its own: ``python -m understudy.bench.speed.child MODULE JSON`` prints one line of JSON.

TRL's Python runs this file too.
"""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import asdict
from importlib import import_module


def main() -> None:
    """Call ``measure`` of a module of this folder with what the second argument holds, and print what it returns."""
    module, arguments = sys.argv[1:]
    warnings.filterwarnings("ignore")
    found = import_module(f"understudy.bench.speed.{module}").measure(**json.loads(arguments))
    print("\n" + json.dumps(asdict(found)), flush=True)


if __name__ == "__main__":
    main()
