"""What is made of a run's events beyond ``RunView``: its times, its graph folded, its KV cache, the story of a step.

Pure: nothing here draws, waits or asks.
"""
