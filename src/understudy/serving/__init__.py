"""``understudy serve``: a model behind HTTP in vLLM's wire form, for machines without vLLM."""

from understudy.serving.running import ScoringServer, serve
from understudy.serving.settings import Settings

__all__ = ["ScoringServer", "Settings", "serve"]
