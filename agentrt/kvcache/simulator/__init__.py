"""What a pool of KV cache would have done: recorded sequences replayed, and whole workloads in a closed loop.

``access``    one request as it was seen, kept as JSON lines
``recorder``  builds such records from what a client knows
``pool``      the radix tree of an engine in whole segments, and what is evicted from it
``orders``    what is evicted first: lru, slru, Bélády's, or by hints
``replay``    one recorded sequence against one pool: hits, and prefix tokens computed again
``jobs``      workloads: turns, tools and gaps, scaled and drawn; one drawn from published numbers
``traces``    workloads out of public recordings of agents
``engine``    a model of the engine in time: queue, prefill, decode, retraction
``closed``    jobs against that engine under a policy and an admission

Pure Python on the standard library. Nothing here knows of a real engine: what it says of one is a forecast.
"""
