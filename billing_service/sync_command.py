"""Shows a person how far `sync` is, and what it found."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from billing_service.composition import open_stripe
from billing_service.errors import StripeUnavailable
from billing_service.readiness import bind
from billing_service.settings import ServiceSettings
from billing_service.stripe_api import LiveStripe
from billing_service.sync import AlreadyRunning, Sync, Tally
from subscription_state import customers, migrate
from subscription_state.database import Database
from subscription_state.opening import open_database

#: How often a line is printed where there is no terminal to draw on, in seconds.
LINE_EVERY = 10.0


async def sync(settings: ServiceSettings) -> bool:
    """Compare every customer with Stripe; False where some could not be compared."""
    console = Console(highlight=False, soft_wrap=True)
    database = open_database(settings)
    stripe = open_stripe(settings)
    try:
        await migrate.check(database)
        # What another account's key reads would ruin the copy.
        if not await bind(database, stripe, livemode=settings.livemode):
            raise StripeUnavailable
        tally = await _run(console, database, stripe)
        await _sum_up(console, database, tally)
    finally:
        await stripe.close()
        await database.close()
    return tally.failed == 0


async def _run(console: Console, database: Database, stripe: LiveStripe) -> Tally:
    try:
        with _shown(console) as shown:
            return await Sync(database, stripe, shown).run()
    except AlreadyRunning:
        raise
    except BaseException:
        # On Ctrl-C too: what was done is kept.
        console.print("Stopped. Run it again: it goes on where it was.")
        raise


async def _sum_up(console: Console, database: Database, tally: Tally) -> None:
    async with database.read() as connection:
        linked, unlinked = await customers.count_linked(connection)
    console.print(f"Compared {tally.compared} customers with Stripe.")
    console.print(f"{tally.differed} differed and are as Stripe has them now.")
    console.print(f"{linked} belong to an account, {unlinked} to none.")
    if tally.failed:
        console.print(f"{tally.failed} could not be compared; the log names them.", style="red")


class _Lines:
    """Plain lines, now and then: for a log file or a job."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._done = self._total = self._began_with = 0
        self._began = self._told = time.monotonic()

    def begin(self, *, done: int, total: int) -> None:
        self._done = self._began_with = done
        self._total = total
        self._began = self._told = time.monotonic()
        self._console.print(f"{done} of {total} customers were compared before.")

    def advance(self, count: int) -> None:
        self._done += count
        now = time.monotonic()
        if now - self._told >= LINE_EVERY:
            self._told = now
            self._tell(now - self._began)

    def _tell(self, elapsed: float) -> None:
        rate = (self._done - self._began_with) / elapsed
        left = timedelta(seconds=round((self._total - self._done) / rate))
        self._console.print(
            f"{self._done} of {self._total} customers, {rate:.1f} a second, {left} left"
        )

    def failed(self, customer_id: str, error: Exception) -> None:
        self._console.print(_failure(customer_id, error), markup=False)


class _Bar:
    """A bar that moves, with the rate and the time that is left."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def begin(self, *, done: int, total: int) -> None:
        self._progress.reset(self._task, total=total, completed=done)

    def advance(self, count: int) -> None:
        self._progress.advance(self._task, count)

    def failed(self, customer_id: str, error: Exception) -> None:
        self._progress.console.print(_failure(customer_id, error), markup=False)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text("" if task.speed is None else f"{task.speed:.1f} a second")


def _failure(customer_id: str, error: Exception) -> str:
    return f"{customer_id} could not be compared: {type(error).__name__}"


@contextmanager
def _shown(console: Console) -> Iterator[_Bar | _Lines]:
    if not console.is_terminal:
        yield _Lines(console)
        return
    columns = (
        TextColumn("Comparing customers"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield _Bar(progress, progress.add_task("", total=None))
