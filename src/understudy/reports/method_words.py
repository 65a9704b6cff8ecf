"""What a method asks of models and of the data, in plain words."""

from __future__ import annotations

from understudy.objectives.needs import Needs
from understudy.objectives.objective import Objective
from understudy.objectives.writing import ExpertReplay

PROGRESS = {
    "reverse_kl": "the reverse KL to the teacher on the student's own text, downwards",
    "forward_kl": "the forward KL from the teacher on the student's own text, downwards",
    "jsd": "the Jensen-Shannon divergence to the teacher, downwards",
    "data_nll": "the negative log-likelihood of the data's completions, downwards",
    "teacher_text_nll": "the negative log-likelihood of the teacher's samples, downwards",
    "reward": "the mean reward, upwards",
}
"""What each measure of progress is."""

_COLUMNS = {
    "student_logprob": "The student's log-probability of each token; sampling gives it.",
    "student_entropy": "The student's exact entropy at each token: one more forward pass of the student.",
    "teacher_logprob": "The teacher's log-probability of each token; any scoring service gives it.",
    "teacher_entropy": "The teacher's exact entropy at each token: a teacher that sees its whole distribution.",
    "reference_logprob": "A reference model's log-probability of each token: a section `reference`.",
    "reward": "A reward for each rollout: a verifier, or an environment that gives one.",
    "correct": "Whether each rollout is right: a verifier, or an environment that says so.",
}


def needed(objective: Objective) -> list[str]:
    """One sentence for each thing that must exist before a step can be planned."""
    needs, writing = objective.needs, objective.writing
    sentences = [_COLUMNS.get(column, f"Column `{column}`.") for column in sorted(needs.columns | needs.graded)]
    sentences += _wide(needs)
    sentences += [_whole_distribution(scorer) for scorer in sorted(needs.hidden)]
    if writing.needs_teacher_text:
        sentences.append("Text that the teacher writes: a teacher that can sample.")
    if writing.mix.data:
        sentences.append("Completions in the data: `data.completion`, a column of that name, or the last message.")
    return sentences


def written(objective: Objective) -> str:
    """Who writes the completions, and how."""
    writing = objective.writing
    shares = {"the student": writing.mix.student, "the teacher": writing.mix.teacher, "the data": writing.mix.data}
    who = [f"{name} (share {share:g})" if share < 1 else name for name, share in shares.items() if share]
    words = " and ".join(who)
    if writing.prefix is not None:
        words += ", after a beginning that the teacher wrote"
    if writing.turns is not None:
        replays = isinstance(writing.turns, ExpertReplay)
        words += ", after turns of an expert" if replays else ", for a number of turns that grows with the steps"
    if writing.weights == "initial":
        words += ", with the weights it had before step 0"
    return words


def _whole_distribution(scorer: str) -> str:
    price = "one more forward pass" if scorer == "student" else f"a {scorer} in this process, of the same vocabulary"
    return f"The {scorer}'s whole distribution at each token: {price}."


def _wide(needs: Needs) -> list[str]:
    own = [f"The {scorer}'s {k} most likely tokens and their log-probabilities." for scorer, k in needs.top_k.items()]
    return own + [
        f"The {scorer}'s log-probabilities at the ids of `{column}`: a {scorer} that scores ids it did not choose."
        for scorer, column in sorted(needs.at_ids)
    ]
