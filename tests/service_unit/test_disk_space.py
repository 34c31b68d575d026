"""How full SQLite's disk is."""

import math
import shutil

from billing_service.disk_space import free_ratio


def test_the_room_of_the_databases_disk_is_told(tmp_path):
    free = free_ratio(f"sqlite+aiosqlite:///{tmp_path / 'paidup.db'}")()

    usage = shutil.disk_usage(tmp_path)
    assert 0 < free < 1
    assert math.isclose(free, usage.free / (usage.used + usage.free), abs_tol=0.05)


def test_a_disk_that_is_not_ours_to_know_is_no_number(tmp_path):
    for url in (
        "postgresql+asyncpg://u@h/d",
        "sqlite+aiosqlite://",
        f"sqlite+aiosqlite:///{tmp_path / 'gone' / 'paidup.db'}",
    ):
        assert math.isnan(free_ratio(url)())
