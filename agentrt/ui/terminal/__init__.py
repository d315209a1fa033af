"""A run shown on the terminal it was started from: a picture redrawn in place, or lines."""
