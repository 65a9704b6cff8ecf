"""What a training step costs on this machine, in seconds and memory, alone or against TRL doing the same work."""
