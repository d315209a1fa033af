"""Where the events of a watched run come from."""
