"""Checks before the first step: what would spoil a run, what to do about it, and which method the pair asks for."""

from understudy.doctor.checkup import Diagnosis, diagnose, quick_findings
from understudy.doctor.findings import Finding, Verdict

__all__ = ["Diagnosis", "Finding", "Verdict", "diagnose", "quick_findings"]
