"""Scorers made of other scorers, and what they read: routed, mixed, cached, and told more than the student."""

from understudy.teachers.cached import CachedScorer
from understudy.teachers.mixture import MixedScorer
from understudy.teachers.routed import RoutedScorer

__all__ = ["CachedScorer", "MixedScorer", "RoutedScorer"]
