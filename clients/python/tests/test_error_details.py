import subprocess
import sys
from datetime import timedelta

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from paidup._error_details import METADATA_KEY, ErrorDetails, FieldViolation, decode

PREFIX = "type.googleapis.com/google.rpc."
NAMES = st.sampled_from(["ErrorInfo", "BadRequest", "RetryInfo", "DebugInfo", ""])

#: What the messages hold on the wire, or nearly.
BODIES = st.one_of(
    st.binary(),
    st.builds(
        lambda reason, metadata: ErrorInfo(
            reason=reason, domain="paidup.dev", metadata=metadata
        ).SerializeToString(),
        st.text(),
        st.dictionaries(st.text(), st.text()),
    ),
    st.builds(
        lambda seconds, nanos: RetryInfo(
            retry_delay=Duration(seconds=seconds, nanos=nanos)
        ).SerializeToString(),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(2**31), 2**31 - 1),
    ),
)


def a_status(*packed: tuple[str, bytes]) -> bytes:
    details = [AnyMessage(type_url=PREFIX + name, value=value) for name, value in packed]
    return Status(code=3, message="no", details=details).SerializeToString()


def decoded(*packed: tuple[str, bytes]) -> ErrorDetails:
    return decode(((METADATA_KEY, a_status(*packed)),))


@given(
    reason=st.text(),
    metadata=st.dictionaries(st.text(), st.text()),
    violations=st.lists(st.tuples(st.text(), st.text())),
    delay=st.timedeltas(timedelta(), timedelta(days=3650)),
)
def test_what_google_packs_is_read_in_full(
    reason: str, metadata: dict[str, str], violations: list[tuple[str, str]], delay: timedelta
) -> None:
    info = ErrorInfo(reason=reason, domain="paidup.dev", metadata=metadata)
    bad_request = BadRequest(
        field_violations=[
            BadRequest.FieldViolation(field=field, description=description)
            for field, description in violations
        ]
    )
    retry_info = RetryInfo()
    retry_info.retry_delay.FromTimedelta(delay)

    details = decoded(
        ("ErrorInfo", info.SerializeToString()),
        ("BadRequest", bad_request.SerializeToString()),
        ("RetryInfo", retry_info.SerializeToString()),
    )

    assert details == ErrorDetails(
        reason=reason,
        metadata=metadata,
        field_violations=tuple(
            FieldViolation(field=field, description=description)
            for field, description in violations
        ),
        retry_delay=delay,
    )


@given(value=st.binary())
def test_no_bytes_whatever_make_it_raise(value: bytes) -> None:
    assert isinstance(decode(((METADATA_KEY, value),)), ErrorDetails)


@given(packed=st.lists(st.tuples(NAMES, BODIES)), cut=st.integers(0, 40))
def test_no_damage_to_a_status_makes_it_raise(packed: list[tuple[str, bytes]], cut: int) -> None:
    status = a_status(*packed)

    assert isinstance(decode(((METADATA_KEY, status[: len(status) - cut]),)), ErrorDetails)


def test_one_malformed_detail_does_not_hide_the_others() -> None:
    info = ErrorInfo(reason="ERROR_REASON_OVERLOADED", domain="paidup.dev").SerializeToString()

    details = decoded(("BadRequest", b"\xff"), ("ErrorInfo", b"\xff"), ("ErrorInfo", info))

    assert details == ErrorDetails(reason="ERROR_REASON_OVERLOADED")


def test_text_that_is_not_utf8_is_malformed() -> None:
    info = b"\x0a\x01\xff" + ErrorInfo(domain="paidup.dev").SerializeToString()

    assert decoded(("ErrorInfo", info)) == ErrorDetails()


def test_a_delay_beyond_all_time_is_none() -> None:
    delay = RetryInfo(retry_delay=Duration(seconds=2**62)).SerializeToString()

    assert decoded(("RetryInfo", delay)).retry_delay is None


def test_a_delay_is_never_negative() -> None:
    delay = RetryInfo(retry_delay=Duration(seconds=-5)).SerializeToString()

    assert decoded(("RetryInfo", delay)).retry_delay == timedelta()


@pytest.mark.parametrize(
    "trailing_metadata", [None, (), (("other", "x"),), ((METADATA_KEY, "not bytes"),)]
)
def test_no_details_are_empty_details(
    trailing_metadata: tuple[tuple[str, str | bytes], ...] | None,
) -> None:
    assert decode(trailing_metadata) == ErrorDetails()


@pytest.mark.parametrize(
    "imports",
    ["import paidup, google.rpc.error_details_pb2", "import google.rpc.error_details_pb2, paidup"],
)
def test_googles_own_messages_may_be_loaded_beside(imports: str) -> None:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", imports], capture_output=True, text=True, check=False
    )

    assert (run.returncode, run.stderr) == (0, "")
