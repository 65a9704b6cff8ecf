"""Engines fill the protocols: in one process, on many ranks, on the Tinker service; and samplers that are served."""
