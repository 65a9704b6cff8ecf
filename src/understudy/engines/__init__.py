"""Engines fill the protocols: ``local`` is PyTorch in one process."""
