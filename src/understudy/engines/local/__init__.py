"""PyTorch in one process, on a CPU or one GPU: the policy that learns and the scorers that mark."""

from understudy.engines.local.initial_sampler import InitialSampler
from understudy.engines.local.offload import VisitingSampler, VisitingScorer, visits_of
from understudy.engines.local.optimizer import OptimizerConfig, learning_rate_at
from understudy.engines.local.policy import LocalPolicy
from understudy.engines.local.scorer import LocalScorer

__all__ = [
    "InitialSampler",
    "LocalPolicy",
    "LocalScorer",
    "OptimizerConfig",
    "VisitingSampler",
    "VisitingScorer",
    "learning_rate_at",
    "visits_of",
]
