"""Programs as answers: found in a completion, run in a sandbox, judged by tests they cannot reach."""

from understudy.tasks.code.judge import CodeJudge

__all__ = ["CodeJudge"]
