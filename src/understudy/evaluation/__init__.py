"""Does it work? Suites with every sample kept, intervals, paired comparisons, and the run's summary."""

from understudy.evaluation.comparison import compare
from understudy.evaluation.statistics import (
    Estimate,
    Paired,
    clustered_interval,
    mean_interval,
    paired,
    sign_test,
    wilson_interval,
)
from understudy.evaluation.suites import (
    SampleRecord,
    SuiteResult,
    evaluate_suite,
    read_suite_result,
    write_suite_result,
)
from understudy.evaluation.summary import SuiteSummary, suite_summary, summary, write_summary

__all__ = [
    "Estimate",
    "Paired",
    "SampleRecord",
    "SuiteResult",
    "SuiteSummary",
    "clustered_interval",
    "compare",
    "evaluate_suite",
    "mean_interval",
    "paired",
    "read_suite_result",
    "sign_test",
    "suite_summary",
    "summary",
    "wilson_interval",
    "write_suite_result",
    "write_summary",
]
