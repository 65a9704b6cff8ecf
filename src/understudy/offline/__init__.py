"""Offline on-policy distillation: a teacher's scores, written once and read by any number of runs."""

from understudy.offline.scoring import Scored, score

__all__ = ["Scored", "score"]
