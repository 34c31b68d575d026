"""Stripe's own programs for Node, installed from the lock beside their script."""

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "node"
LOCK = FOLDER / "package-lock.json"
INSTALLED = FOLDER / "node_modules" / ".installed"
CLI = FOLDER / "node_modules" / "@stripe" / "cli-linux-x64" / "bin" / "stripe"
OLDEST_NODE = 20
INSTALL_SECONDS = 120


def node() -> str:
    """Give Node's path once the packages are there; skip with the reason where they cannot be."""
    reason = _unavailable()
    if reason:
        pytest.skip(reason)
    return shutil.which("node") or ""


def stripe_cli() -> str:
    node()
    if not CLI.exists():
        pytest.skip("Stripe's command line is locked for Linux on x86-64 only.")
    return str(CLI)


@functools.cache
def _unavailable() -> str:
    found = shutil.which("node")
    if not found or not shutil.which("npm"):
        return f"Node {OLDEST_NODE} or newer and npm are not installed."
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        return f"Node is {said.strip()}; the SDK needs {OLDEST_NODE} or newer."
    with LOCK.open() as lock:
        # Only one of several workers installs.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install()


def _install() -> str:
    wanted = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    if INSTALLED.exists() and INSTALLED.read_text() == wanted:
        return ""
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=FOLDER, timeout=INSTALL_SECONDS, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm took longer than {INSTALL_SECONDS} seconds."
    if done.returncode != 0:
        return f"npm could not install the locked packages (exit code {done.returncode})."
    INSTALLED.write_text(wanted)
    return ""


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
