"""Property tests draw the same examples in every run: a change is never refused for an older bug.

`HYPOTHESIS_PROFILE=random` draws others each time; a failure prints how to repeat it.
"""

import os

from hypothesis import settings

settings.register_profile("same", derandomize=True, print_blob=True)
settings.register_profile("random", derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
