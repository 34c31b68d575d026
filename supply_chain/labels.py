"""What an image says of itself: which version it is, of which commit, and when that was made."""

import os
import shlex
import subprocess
import tomllib
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
UNKNOWN = "unknown"


def build_arguments() -> dict[str, str]:
    """Give the Dockerfile's arguments. The same commit gives the same ones."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {
        "VERSION": project["version"],
        "REVISION": _git("rev-parse", "HEAD"),
        "CREATED": created(),
    }


def source_date_epoch() -> int:
    """Give the time that a build is of: `SOURCE_DATE_EPOCH`, else the commit's."""
    given = os.environ.get("SOURCE_DATE_EPOCH") or _git(
        "show", "--no-patch", "--format=%ct", "HEAD"
    )
    return int(given) if given.isdecimal() else 0


def created() -> str:
    """Write that time as RFC 3339 wants it."""
    return datetime.fromtimestamp(source_date_epoch(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _git(*arguments: str) -> str:
    """Ask about the commit; outside of a repository it is not known."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    except OSError:
        return UNKNOWN
    return asked.stdout.strip() if asked.returncode == 0 else UNKNOWN


if __name__ == "__main__":
    arguments = (f"--build-arg={name}={value}" for name, value in build_arguments().items())
    print(shlex.join(arguments))  # noqa: T201 - for make
