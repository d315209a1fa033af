"""agentrt: agent programs in ordinary async Python, run as step graphs on a KV-aware engine."""

__version__ = "0.1.0"
