"""Measures speed: each figure a median beside a floor measured in the same run. Run it with `make bench`."""
