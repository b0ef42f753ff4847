"""Measures the service beside the plain algorithm and the bare calls; never packaged."""
