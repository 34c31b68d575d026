"""What holds for every test.

Property tests draw the same examples in every run: a change is never refused for an older bug.
`HYPOTHESIS_PROFILE=random` draws others each time; a failure prints how to repeat it.
"""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("same", derandomize=True, print_blob=True)
settings.register_profile("random", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Give logging back as it was: a command that runs in a test configures the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
