"""Processes that do work which may hang, crash or eat memory: each job has a deadline."""

from understudy.workers.pool import JobFailedError, LostJobError, OvertimeError, RefusedError, Workers, shared

__all__ = ["JobFailedError", "LostJobError", "OvertimeError", "RefusedError", "Workers", "shared"]
