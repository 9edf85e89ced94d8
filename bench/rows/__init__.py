"""One module for each group of rows of the table."""
from . import api, container, heat, stack, start, throughput

__all__ = ["api", "container", "heat", "stack", "start", "throughput"]
