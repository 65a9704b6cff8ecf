"""PyTorch on many ranks: the student is sharded over them (FSDP2), each samples, scores and plans its own share."""

from understudy.engines.cluster.group import Group, join, place_of
from understudy.engines.cluster.policy import ClusterPolicy

__all__ = ["ClusterPolicy", "Group", "join", "place_of"]
