"""No key, signing secret, client secret or e-mail address in any line that a process wrote."""

import re

from demo.stack import Stack

LEAKS = re.compile(r"[sr]k_(test|live)_\w|whsec_\w|_secret_\w|@example\.(com|org)")


def assert_nothing_leaked(stack: Stack) -> None:
    assert stack.log, "the processes log nothing, so nothing is checked for leaks"
    assert [line for line in stack.log if LEAKS.search(line)] == []
