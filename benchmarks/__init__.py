"""What things cost on this machine; `python -m benchmarks`."""
