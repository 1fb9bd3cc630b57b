"""Built-in channels, one a module."""
