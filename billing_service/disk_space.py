"""How much room the disk of an SQLite database has left, for whoever has to enlarge it in time."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import make_url


def free_ratio(database_url: str) -> Callable[[], float]:
    """Give what looks at the disk now, from 0 to 1; not a number where it is not ours to know."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        return lambda: math.nan
    folder = Path(url.database).parent

    def look() -> float:
        try:
            usage = shutil.disk_usage(folder)
        except OSError:
            return math.nan
        # What is kept for the superuser is in neither.
        return usage.free / (usage.used + usage.free)

    return look
