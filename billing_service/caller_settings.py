"""Settings of what one caller may ask for."""

from pydantic import BaseModel, Field

from billing_service.caller_limits import Limits


class CallerLimitSettings(BaseModel):
    """What each process gives one caller at most."""

    caller_calls_per_second: int = Field(
        default=0,
        ge=0,
        description="How many calls one caller may begin in each process a second; a second's "
        "worth may come at once. A batch is one call, and so is a stream. 0: as many as it likes.",
    )
    caller_concurrent_calls: int = Field(
        default=0,
        ge=0,
        description="How many calls of one caller each process answers at a time, streams not "
        "among them. 0: as many as it likes.",
    )
    caller_streams: int = Field(
        default=0,
        ge=0,
        description="How many streams of `WatchEntitlements` one caller may have in each process. "
        "0: as many as it likes.",
    )

    @property
    def caller_limits(self) -> Limits:
        return Limits(
            calls_per_second=self.caller_calls_per_second,
            concurrent_calls=self.caller_concurrent_calls,
            streams=self.caller_streams,
        )
