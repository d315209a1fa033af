"""What ``agentrt bench`` measures: a folder each, whose ``add_arguments`` and ``run`` the command calls."""
