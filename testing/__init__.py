"""Tests, benchmarks and their fakes; testing/README.md says how they are arranged."""
