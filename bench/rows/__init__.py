"""One module for each group of rows of the table."""
from . import api, common, container, heat, phases, stack, start, throughput

__all__ = ["api", "common", "container", "heat", "phases", "stack", "start", "throughput"]
