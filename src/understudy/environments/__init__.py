"""Worlds a student acts in, and the loop that plays a batch of them."""
