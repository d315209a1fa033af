"""What a workflow tells an inference engine about its KV cache: hints, policies, estimators, and the SGLang plugin.

``hints``       the contract, on the wire and in memory
``contexts``    what the runtime knows of a session or a fixed prompt when a policy is asked
``policies``    one small file each: from a context to advice
``estimators``  what they learn from: tool durations, prefill cost, queueing delay, turns left
``admission``   which programs may run their next turn when their contexts do not all fit
``sglang``      the engine's side, imported only there

Nothing is imported here: the plugin is loaded inside the engine, where only the standard library is sure to be found.
"""
