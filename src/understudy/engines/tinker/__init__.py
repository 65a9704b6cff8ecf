"""Training on the Tinker service: the student's adapters and the sampling are there, the plans are made here."""

from understudy.engines.tinker.policy import TinkerLora, TinkerPolicy
from understudy.engines.tinker.sampler import TinkerSampler
from understudy.engines.tinker.scorer import TinkerScorer
from understudy.engines.tinker.service import TinkerService, TinkerSettings, key_from

__all__ = [
    "TinkerLora",
    "TinkerPolicy",
    "TinkerSampler",
    "TinkerScorer",
    "TinkerService",
    "TinkerSettings",
    "key_from",
]
