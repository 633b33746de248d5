"""Bytes and frozen values: the codecs of every message, without state and without keys."""
