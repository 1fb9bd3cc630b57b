"""Built-in scorers, one a module."""
