"""Keeps stderr for what the command says itself."""

import os
import sys


def keep() -> None:
    """Let gRPC's core, which logs to stderr past Python, write nowhere.

    Its own variable for that is read when grpc is imported, which is before any code
    of ours runs. Whoever sets it wants to see those lines.
    """
    if "GRPC_VERBOSITY" in os.environ:
        return
    ours = os.dup(sys.stderr.fileno())
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    sys.stderr = open(ours, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115 - a descriptor, kept to the end
