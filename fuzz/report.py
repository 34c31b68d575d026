"""What was sent and how it was answered, as a table."""

from collections.abc import Mapping
from pathlib import Path

from bench.tables import Table
from fuzz.oracle import Tally

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
TOPIC = "fuzz"


def table(tallies: Mapping[tuple[str, str], Tally]) -> Table:
    """Make the table; what was answered wrongly never gets here, it ends the run."""
    made = Table(columns=("what was sent", "database", "inputs", "answers", "wrong ones"))
    for (target, database), tally in tallies.items():
        answers = ", ".join(f"{name} {n:,}" for name, n in tally.outcomes.most_common())
        made.add(target, database, f"{tally.inputs:,}", answers, "0")
    return made
