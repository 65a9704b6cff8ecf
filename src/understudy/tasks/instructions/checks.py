"""Every instruction that can be checked, by its name in IFEval and IFBench.

Written from the instructions' own words. Where those leave something open, what is asked here stands in
docs/evaluation.md; none of it needs a grammar, a model, or a download.
"""

from __future__ import annotations

from collections.abc import Mapping

from understudy.tasks.instructions import counting, ifeval, layout, repeating, wording
from understudy.tasks.instructions.given import Check

CHECKS: Mapping[str, Check] = {
    **ifeval.CHECKS,
    **counting.CHECKS,
    **wording.CHECKS,
    **layout.CHECKS,
    **repeating.CHECKS,
}
