"""A whole office study from one command: train, examine on real files, compare, look for losses, write the page."""

from understudy.study.settings import StudySettings
from understudy.study.stages import Study, run_study

__all__ = ["Study", "StudySettings", "run_study"]
