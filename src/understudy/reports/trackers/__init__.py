"""Figures of a run sent to TensorBoard, Weights & Biases or trackio as well; a tracker that fails costs a notice."""

from understudy.reports.trackers.opening import check_installed, tracking

__all__ = ["check_installed", "tracking"]
