"""What runs in the environment of the official package; it may import that and the standard library."""
