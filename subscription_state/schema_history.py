"""The migrations that a version of the code knows, in order, and when each may be applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"


class Phase(StrEnum):
    """When a migration may be applied while a new version is rolled out."""

    #: It only adds: older versions go on beside it. The default.
    BEFORE = "before"
    #: It takes away what older versions need: a script says so by `phase = "after"`.
    AFTER = "after"


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One script."""

    version: str
    phase: Phase


class SchemaHistory:
    """Reads the scripts of this version of the code, and those of more folders."""

    def __init__(self, *folders: Path) -> None:
        self._folders = [MIGRATIONS / "versions", *folders]

    def config(self) -> Config:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.set_main_option("path_separator", "newline")
        config.set_main_option("version_locations", "\n".join(map(str, self._folders)))
        return config

    @cached_property
    def migrations(self) -> Sequence[Migration]:
        """List all, oldest first."""
        scripts = ScriptDirectory.from_config(self.config()).walk_revisions()
        newest_first = [
            Migration(
                version=script.revision, phase=Phase(getattr(script.module, "phase", Phase.BEFORE))
            )
            for script in scripts
        ]
        return tuple(reversed(newest_first))

    @property
    def newest(self) -> str:
        return self.migrations[-1].version

    def knows(self, version: str) -> bool:
        return any(each.version == version for each in self.migrations)

    def pending(self, applied: str | None) -> Sequence[Migration]:
        """List what comes after a version that is known; all where nothing was applied."""
        versions = [each.version for each in self.migrations]
        return self.migrations[versions.index(applied) + 1 :] if applied else self.migrations

    def floor(self, applied: str | None) -> str | None:
        """Name the last migration up to a version that took something away."""
        pending = self.pending(applied)
        done = self.migrations[: len(self.migrations) - len(pending)]
        taken = [each.version for each in done if each.phase is Phase.AFTER]
        return taken[-1] if taken else None


OURS = SchemaHistory()
