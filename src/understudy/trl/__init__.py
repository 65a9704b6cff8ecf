"""TRL's distillation trainers over Understudy: a script moves by changing its import."""

from understudy.trl.config import DistillationConfig, GKDConfig
from understudy.trl.trainer import DistillationTrainer, GKDTrainer

__all__ = ["DistillationConfig", "DistillationTrainer", "GKDConfig", "GKDTrainer"]
