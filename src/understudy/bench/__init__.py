"""Comparisons: methods on the testbed with the same start, data and budget, and estimators on a chain known exactly."""
