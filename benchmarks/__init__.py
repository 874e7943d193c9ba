"""How fast we are beside the others: `python -m benchmarks` writes RESULTS.md."""
