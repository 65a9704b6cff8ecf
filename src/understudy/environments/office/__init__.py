"""Office work: a workspace with files, a shell in a sandbox, and a way to hand in what was made."""

from understudy.environments.office.attempt import Attempt, Grade, Graded
from understudy.environments.office.box import SYSTEM, OfficeBoxes, OfficeSettings
from understudy.environments.office.web import Web
from understudy.environments.office.workspace import Workspace

__all__ = ["SYSTEM", "Attempt", "Grade", "Graded", "OfficeBoxes", "OfficeSettings", "Web", "Workspace"]
