"""Office tasks put to a model: played, handed in, judged where programs can, and kept task by task."""

from understudy.office.results import Results, TaskResult, read_results
from understudy.office.running import RunSettings, run_office
from understudy.office.starting import new_folder
from understudy.office.summary import Summary, summary_of

__all__ = ["Results", "RunSettings", "Summary", "TaskResult", "new_folder", "read_results", "run_office", "summary_of"]
