"""The real engine in a process of its own, whatever Python has it: this file needs alfworld, and nothing of ours.

Lines in: ``{"open": {"file": PATH}}``, ``{"open": {"pddl_problem": TEXT, "goal": TEXT}}`` or ``{"step": ACTION}``.
Lines out: ``{"ready": true}`` or ``{"missing": TEXT}`` once, then for each line in ``{"text", "admissible", "won",
"cpu_seconds"}`` (all that this process has used) or ``{"error": TEXT}``. It ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TextIO


def own_output() -> TextIO:
    """The output kept for answers; what libraries print goes to the errors."""
    kept = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    return kept


def game_of(asked: dict[str, Any]) -> Any:
    """What the engine loads: a file's name, or a game with the package's domain and grammar."""
    import alfworld.info

    if "file" in asked:
        return asked["file"]
    grammar = Path(alfworld.info.ALFRED_TWL2_PATH).read_text(encoding="utf-8")
    return {
        "pddl_domain": Path(alfworld.info.ALFRED_PDDL_PATH).read_text(encoding="utf-8"),
        "grammar": grammar.replace("UNKNOWN GOAL", asked["goal"]),
        "pddl_problem": asked["pddl_problem"],
        "solvable": True,
        "walkthrough": [],
    }


def opened(asked: dict[str, Any]) -> tuple[Any, Any]:
    """An environment with the game loaded, and its first state."""
    import textworld
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
    from textworld.envs import PddlEnv

    environment = AlfredDemangler(PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True)))
    environment.load(game_of(asked))
    return environment, environment.reset()


def answer_of(state: Any) -> dict[str, Any]:
    """A state as an answer."""
    admissible = [action for action in state["admissible_commands"] if action != "help"]
    used = time.process_time()
    return {"text": state.feedback, "admissible": admissible, "won": bool(state["won"]), "cpu_seconds": used}


def main() -> None:
    """Answer until the input ends."""
    output = own_output()
    # The package makes a folder for downloads when it is imported; nothing is downloaded here.
    os.environ.setdefault("ALFWORLD_DATA", tempfile.gettempdir())
    try:
        import alfworld.agents.environment.alfred_tw_env  # noqa: F401
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=output)
        return
    print(json.dumps({"ready": True}), file=output)
    environment = None
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            if "open" in asked:
                environment, state = opened(asked["open"])
            elif environment is None:
                raise RuntimeError("no game is open")
            else:
                state, _, _ = environment.step(asked["step"])
            answer = answer_of(state)
        except Exception as error:  # whatever it is, it is this game's end and no other's
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=output)


if __name__ == "__main__":
    main()
