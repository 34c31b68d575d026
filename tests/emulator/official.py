"""Stripe's own programs for Node, installed from the lock beside their script."""

import os
import shutil
from pathlib import Path

import pytest

from tests import node_packages

FOLDER = Path(__file__).parent / "node"
LOCK = FOLDER / "package-lock.json"
CLI = FOLDER / "node_modules" / "@stripe" / "cli-linux-x64" / "bin" / "stripe"


def node() -> str:
    """Give Node's path once the packages are there; skip with the reason where they cannot be."""
    reason = node_packages.unavailable(FOLDER)
    if reason:
        pytest.skip(reason)
    return shutil.which("node") or ""


def stripe_cli() -> str:
    node()
    if not CLI.exists():
        pytest.skip("Stripe's command line is locked for Linux on x86-64 only.")
    return str(CLI)


def environment(home: Path) -> dict[str, str]:
    """No settings of the user's, and no way out of this machine."""
    nowhere = "http://127.0.0.1:9"
    return {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1",
    }
