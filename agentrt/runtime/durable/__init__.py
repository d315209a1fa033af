"""Runs that survive: what the driver tells the journal, and what the journal tells the driver."""
