"""What parts of a step cost here, each by ``python -m benchmarks.NAME``; `make bench` measures whole steps."""
