"""The `paidup` command, for people and scripts. It needs what `paidup[cli]` installs."""

import sys

#: What the extra adds; the package itself does without.
_EXTRA = {"typer", "rich"}
_EXIT_FAILED = 2


def main() -> None:
    """Run the command that the process was started with, and end it."""
    try:
        from paidup.cli.app import run  # noqa: PLC0415 - may be absent
    except ModuleNotFoundError as missing:
        if missing.name not in _EXTRA:
            raise
        sys.stderr.write(
            "paidup: The command needs Typer and Rich: install paidup[cli] instead of paidup.\n"
        )
        sys.exit(_EXIT_FAILED)
    sys.exit(run())
