"""Every way in which a network fails, at every client: does each end soon, and in a sentence?

    python -m benchmarks.network                      # all ways at all clients, a table at the end
    python -m benchmarks.network graders "web page"

A hostile server on this machine refuses, resets, falls silent, drips, floods, lies; each client must end within half a
minute (its deadlines here are of two seconds), having asked a bounded number of times, with one sentence.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.hardening.hostile_server import FAULTS
from tests.hardening.network_calls import calls, known_from
from tests.hardening.network_outcomes import fault_of, outcomes
from tests.serving.conftest import tiny_loaded
from tests.serving.served import served_model


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="clients; all by default")
    options = parser.parse_args()
    folder = tempfile.TemporaryDirectory(prefix="network-")  # goes with this process: weights are read at each call
    weights = Path(folder.name) / "000001"
    weights.mkdir()
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (weights / file).write_text("{}")
    with served_model(tiny_loaded(), allow_updates=True, max_logprobs=-1) as url:
        known = known_from(url, weights)
    bad, lines = 0, [f"{'client':<26} {'ways':>4} {'wrong':>5} {'most asked':>10} {'slowest':>8}"]
    for name, call in calls(known).items():
        if options.names and name not in options.names:
            continue
        found = outcomes(call, tuple(FAULTS))
        wrong = {fault: what for fault, one in found.items() if (what := fault_of(one, call))}
        bad += len(wrong)
        for fault, one in found.items():
            print(f"{name} | {fault} | asked {one.asked} | {one.seconds:.1f} s | {wrong.get(fault) or one.told}")
        slowest, asked = max(one.seconds for one in found.values()), max(one.asked for one in found.values())
        lines.append(f"{name:<26} {len(found):>4} {len(wrong):>5} {asked:>10} {slowest:>6.1f} s")
    print("\n".join(lines))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
