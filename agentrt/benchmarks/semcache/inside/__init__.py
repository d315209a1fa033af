"""What runs in GPTCache's environment; nothing of it imports this package."""
