"""What the runtime tells an engine about its KV cache, from the events of its runs.

``tracker``    the contexts of one run: their phase, size and tools, folded from events
``forecast``   when each is needed again, from the live graph and the program's template
``publisher``  asks the policy, and tells one engine what has changed
``book``       what that engine was told last
``prefixes``   the tokens of fixed prompts
``sampler``    asks one engine what its cache holds, for those who watch
``listeners``  the runs that are told of that, and of the hints
``desk``       brings them together for a runtime: one publisher for each model, one tracker for each run
"""
