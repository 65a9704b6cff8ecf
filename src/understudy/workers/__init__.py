"""Processes that do work which may hang, crash or eat memory: each job has a deadline."""

from understudy.workers.pool import JobFailedError, OvertimeError, RefusedError, Workers, shared

__all__ = ["JobFailedError", "OvertimeError", "RefusedError", "Workers", "shared"]
