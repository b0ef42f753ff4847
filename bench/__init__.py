"""Measures the service beside the seed's own algorithm and the bare calls; never packaged."""
