"""Agents over many turns: the world's side, the agent's side, and what stands between them."""

from understudy.environments.agents.agent import DEED, TALLY, Agent, Deed, Manner, Past, Sight, Tally, fields_of
from understudy.environments.agents.cutting import cut_to
from understudy.environments.agents.replies import Reply, plain, tagged
from understudy.environments.agents.world import Scene, World

__all__ = [
    "DEED",
    "TALLY",
    "Agent",
    "Deed",
    "Manner",
    "Past",
    "Reply",
    "Scene",
    "Sight",
    "Tally",
    "World",
    "cut_to",
    "fields_of",
    "plain",
    "tagged",
]
