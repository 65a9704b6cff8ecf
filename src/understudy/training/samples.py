"""A completion to look at now and then, on the terminal."""

from __future__ import annotations

from understudy.randomness import derived_seed
from understudy.rollouts import Rollout
from understudy.training.plain_text import shortened
from understudy.training.rollout_files import Decode
from understudy.training.step import StepResult

_LONGEST, _MOST_TURNS = 1200, 4


def sample_of(result: StepResult, decode: Decode, *, seed: int) -> str:
    """One rollout of the step, chosen by a keyed draw: prompt, completions and reward, in a few lines."""
    if not result.rollouts:
        return f"step {result.step}: no rollouts"
    chosen = derived_seed(seed=seed, step=result.step, purpose="shown sample") % len(result.rollouts)
    return told(result.rollouts[chosen], decode, step=result.step)


def told(rollout: Rollout, decode: Decode, *, step: int) -> str:
    """A rollout as indented text; nothing is escaped here, that is the display's part."""
    lines = [_heading(rollout, step)]
    if rollout.turns:
        lines += _block("prompt", decode(rollout.turns[0].prompt_ids))
    for number, turn in enumerate(rollout.turns[:_MOST_TURNS], start=1):
        name = "completion" if len(rollout.turns) == 1 else f"completion {number}"
        lines += _block(name, decode(turn.completion_ids))
    if len(rollout.turns) > _MOST_TURNS:
        lines.append(f"  and {len(rollout.turns) - _MOST_TURNS} more turns")
    return "\n".join(lines)


def _heading(rollout: Rollout, step: int) -> str:
    where = f"{rollout.problem} of {rollout.domain}" if rollout.domain else rollout.problem
    verdict = {True: ", right", False: ", wrong", None: ""}[rollout.correct]
    reward = "not graded" if rollout.reward is None else f"reward {rollout.reward:g}"
    tokens = sum(turn.completion_ids.numel() for turn in rollout.turns)
    return f"Step {step}, problem {where}: {reward}{verdict}, {tokens} tokens, ended by {rollout.finish_reason}"


def _block(name: str, text: str) -> list[str]:
    lines = shortened(text, _LONGEST).split("\n")
    return [f"  {name}:", *(f"    | {line}" for line in lines)]
