"""The terminal UI: a run, its graph and its KV cache, live or afterwards."""
