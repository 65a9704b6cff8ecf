"""Programs of strangers, run where they can harm nothing, or not at all."""

from understudy.sandbox.conversation import Conversation, Speaker, converse
from understudy.sandbox.libraries import libraries
from understudy.sandbox.limits import Ended, Limits, Outcome, Reason, SandboxUnavailableError
from understudy.sandbox.means import Isolation, isolation
from understudy.sandbox.running import run

__all__ = [
    "Conversation",
    "Ended",
    "Isolation",
    "Limits",
    "Outcome",
    "Reason",
    "SandboxUnavailableError",
    "Speaker",
    "converse",
    "isolation",
    "libraries",
    "run",
]
