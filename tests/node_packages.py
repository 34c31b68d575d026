"""Packages for Node that tests need, installed from the lock that lies in their folder.

`python -m tests.node_packages FOLDER` installs them; where that cannot be, it prints why and
ends with 1.
"""

import fcntl
import functools
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_NODE = 20
INSTALL_SECONDS = 120


@functools.cache
def unavailable(folder: Path) -> str:
    """Install what the folder's lock names; give the reason where that cannot be, else nothing."""
    found = shutil.which("node")
    if not found or not shutil.which("npm"):
        return f"Node {OLDEST_NODE} or newer and npm are not installed."
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(said.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        return f"Node is {said.strip()}; {OLDEST_NODE} or newer is needed."
    with _lock(folder).open() as lock:
        # Only one of several workers installs.
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _install(folder)


def _lock(folder: Path) -> Path:
    return folder / "package-lock.json"


def _install(folder: Path) -> str:
    installed = folder / "node_modules" / ".installed"
    wanted = hashlib.sha256(_lock(folder).read_bytes()).hexdigest()
    if installed.exists() and installed.read_text() == wanted:
        return ""
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=INSTALL_SECONDS, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return f"npm took longer than {INSTALL_SECONDS} seconds."
    if done.returncode != 0:
        return f"npm could not install the locked packages (exit code {done.returncode})."
    installed.write_text(wanted)
    return ""


if __name__ == "__main__":
    sys.exit(unavailable(Path(sys.argv[1])) or None)
