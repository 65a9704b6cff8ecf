"""Passes over rows of logits: one form in PyTorch, one in Triton, chosen by device in one place (``rows``)."""
