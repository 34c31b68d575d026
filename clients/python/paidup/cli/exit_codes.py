"""How the command ends, for scripts."""

from typing import Final

DONE: Final = 0
NOT_ENTITLED: Final = 1
FAILED: Final = 2
#: As a shell says of a process that a signal ended: 128 and the signal's number.
INTERRUPTED: Final = 128 + 2
NOBODY_READS: Final = 128 + 13

FOR_HELP: Final = "Ends with 0, or with 2 after an error, which stderr tells in one line."
FOR_HELP_OF_CHECKS: Final = (
    "Ends with 0 if entitled, with 1 if not, and with 2 after an error, which stderr tells in "
    "one line."
)
