"""Built-in segmenters, one a module."""
