"""Measures the service beside a peer in the same run."""
