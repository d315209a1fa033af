"""The agent programs that are measured: plain files, which ``agentrt run`` and ``agentrt graph`` take as well."""
