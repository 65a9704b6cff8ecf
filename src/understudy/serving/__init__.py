"""``understudy serve``: a model behind HTTP in vLLM's wire form, for machines without vLLM."""

from understudy.serving.running import ScoringServer, serve
from understudy.serving.settings import Settings, key_from

__all__ = ["ScoringServer", "Settings", "key_from", "serve"]
