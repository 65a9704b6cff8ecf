"""A few completions to look at: of a model, a run or a server, beside those of another one."""

from understudy.sampling.answers import Answer, Said, told
from understudy.sampling.questions import Questions, Wishes, prompts_in, questions_of
from understudy.sampling.sampling import answered
from understudy.sampling.speakers import Named, Speaker, named, speaker_of

__all__ = [
    "Answer",
    "Named",
    "Questions",
    "Said",
    "Speaker",
    "Wishes",
    "answered",
    "named",
    "prompts_in",
    "questions_of",
    "speaker_of",
    "told",
]
