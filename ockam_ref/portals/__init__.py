"""Inlets and outlets: any TCP application through a route."""
