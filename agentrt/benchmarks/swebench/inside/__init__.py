"""What runs in other environments: the official graders' and the baseline agent's. None of it imports this package."""
