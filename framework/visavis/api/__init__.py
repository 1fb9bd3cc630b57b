"""The public API, one package a version, generated from `protos/`."""
