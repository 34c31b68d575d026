"""The result as a table, for a terminal and for `docs/reliability.md`."""

import statistics
from pathlib import Path

from soak.chaos import CLOCK_MOVED, CRASHED, KILLED
from soak.run import Plan, Result

PAGE = Path(__file__).parent.parent / "docs" / "reliability.md"
BEGIN = "<!-- Written by `make soak`. -->"
END = "<!-- Until here. -->"
#: What lives do, and how the table calls it.
ACTIONS = {
    "purchase": "purchases",
    "failing_card": "cards replaced by one that fails",
    "recovery": "cards replaced by one that pays",
    "change_of_plan": "changes of plan or quantity",
    "cancellation": "cancellations at the period's end",
    "renewal": "cancellations taken back",
    "end": "cancellations at once",
}


def rows(plan: Plan, result: Result) -> list[tuple[str, str]]:
    """Give the table's rows: what, and how much of it."""
    differences = sorted(result.differences) or [0.0]
    return [
        ("accounts", f"{plan.subscriptions}"),
        ("minutes", f"{plan.seconds / 60:.1f}"),
        ("days that passed at Stripe", f"{result.done[CLOCK_MOVED] / 24:.0f}"),
        *((shown, f"{result.done[action]:,}") for action, shown in ACTIONS.items()),
        *((name.replace("_", " "), f"{n:,}") for name, n in sorted(result.injected.items()) if n),
        (KILLED, f"{result.done[KILLED]}"),
        (CRASHED, f"{result.done[CRASHED]}"),
        ("differences seen between Stripe and the copy", f"{len(result.differences):,}"),
        ("… that lasted, median", f"{statistics.median(differences):.0f} s"),
        ("… that lasted, longest", f"{differences[-1]:.0f} s"),
        ("after the last fault, all right within", f"{result.right_after:.0f} s"),
        ("**decisions that were wrong in the end**", f"**{len(result.divergences)}**"),
        ("**subscriptions stored wrongly in the end**", f"**{len(result.differing)}**"),
        ("**acknowledged events that were lost**", f"**{len(result.lost)}**"),
    ]


def write(table: list[tuple[str, str]], page: Path = PAGE) -> None:
    """Put the table between the page's two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "".join(f"| {what} | {how_much} |\n" for what, how_much in table)
    page.write_text(f"{before}{BEGIN}\n| | |\n|---|---:|\n{lines}{END}{after}")
