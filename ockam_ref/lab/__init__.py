"""Experiments with routes: nodes that are started, joined, measured and drawn; the command line calls it ``route``."""
