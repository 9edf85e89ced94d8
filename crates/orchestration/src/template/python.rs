//! Python's text forms of values, which leak into upstream's results and messages (`True`, `'x'`, `1.0`, sorted JSON).
