"""Figures, never asserts: `make bench`."""
