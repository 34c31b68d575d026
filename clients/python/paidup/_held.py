"""What is held of accounts: what each may use, and since when that is known."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf

from google.protobuf.timestamp_pb2 import Timestamp

from paidup._decision import Question
from paidup.v1.entitlement_pb2 import Entitlement, EntitlementReason

#: Later ends are taken as this one.
LATEST = datetime.max.replace(tzinfo=UTC, microsecond=0).timestamp()


@dataclass(frozen=True, slots=True)
class Right:
    """One feature or product that an account may use."""

    #: The service's time of day, in seconds; infinite where time changes nothing.
    until: float = inf
    reason: EntitlementReason = EntitlementReason.ENTITLEMENT_REASON_UNSPECIFIED
    quantity: int = 0


@dataclass(slots=True)
class Held:
    """Everything that one account may use."""

    features: dict[str, Right] = field(default_factory=dict)
    products: dict[str, Right] = field(default_factory=dict)
    #: Monotonic; when the service is known to have said so.
    as_of: float = -inf
    #: Monotonic; how long it may be used by itself, as the answer of an RPC.
    fresh_until: float = -inf
    #: Whether the stream tells of every change since.
    watched: bool = False
    #: Whether it was asked about since it was last considered for eviction.
    asked: bool = False

    def right(self, asked: Question) -> Right | None:
        rights = self.features if asked.product_id is None else self.products
        return rights.get(asked.feature or asked.product_id or "")


def held_of(entitlements: Iterable[Entitlement]) -> Held:
    """Read a list of what an account may use. What is not understood entitles nobody."""
    held = Held()
    for entitlement in entitlements:
        if not entitlement.entitled:
            continue
        match entitlement.WhichOneof("subject"):
            case "feature":
                held.features[entitlement.feature] = _right(entitlement)
            case "product_id":
                held.products[entitlement.product_id] = _right(entitlement)
    return held


def _right(entitlement: Entitlement) -> Right:
    has_end = entitlement.HasField("valid_until_time")
    return Right(
        until=min(seconds(entitlement.valid_until_time), LATEST) if has_end else inf,
        reason=entitlement.reason,
        quantity=entitlement.quantity,
    )


def seconds(moment: Timestamp) -> float:
    return moment.seconds + moment.nanos / 1e9


class Accounts:
    """Accounts by id, at most so many: those that nobody asks about go first.

    An account that was asked about since it was last considered gets a second
    chance. So a reader only sets a flag, and needs no lock; there is one writer.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        #: Readers look up here, and nothing else.
        self.by_id: dict[str, Held] = {}

    def __len__(self) -> int:
        return len(self.by_id)

    def items(self) -> Iterator[tuple[str, Held]]:
        return iter(list(self.by_id.items()))

    def put(self, account_id: str, held: Held) -> None:
        before = self.by_id.get(account_id)
        held.asked = before.asked if before is not None else held.asked
        self.by_id[account_id] = held
        while len(self.by_id) > self._most:
            self._evict_one()

    def clear(self) -> None:
        self.by_id.clear()

    def _evict_one(self) -> None:
        while True:
            account_id = next(iter(self.by_id))
            held = self.by_id.pop(account_id)
            if not held.asked:
                return
            held.asked = False
            self.by_id[account_id] = held
