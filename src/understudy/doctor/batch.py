"""Does a step ask for more problems than there are?"""

from __future__ import annotations

from understudy.doctor.findings import Finding, ok, warn

_TIMES = 10
"""Our choice: a few passes over small data in one step may be meant; so many are a slip of the pen."""


def batch_finding(*, prompts_per_step: int, num_problems: int) -> Finding:
    """A step's prompts against the problems they are drawn from."""
    said = f"a step takes {prompts_per_step:,} prompts of {num_problems:,} problems"
    if prompts_per_step <= _TIMES * num_problems:
        return ok("batch", said)
    return warn(
        "batch",
        f"{said}, each of them {prompts_per_step // num_problems:,} times",
        "Lower rollout.prompts_per_step; rollout.num_generations says how often one problem is tried.",
    )
