"""What the environment says of traces."""

import os
from collections.abc import Iterator

import pytest

from subscription_state import tracing
from subscription_state.settings import SettingsInvalid

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in os.environ:
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    yield monkeypatch
    tracing.end()


@pytest.mark.parametrize(
    ("variables", "is_on"),
    [
        ({}, False),
        ({ENDPOINT: ""}, False),
        ({ENDPOINT: NOWHERE}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{NOWHERE}/v1/traces"}, True),
        ({ENDPOINT: NOWHERE, "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({ENDPOINT: NOWHERE, "OTEL_TRACES_EXPORTER": "none"}, False),
        ({ENDPOINT: NOWHERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
    ],
)
def test_traces_are_on_where_a_collector_is_named(
    environment: pytest.MonkeyPatch, variables: dict[str, str], *, is_on: bool
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)

    tracing.begin("service")

    assert tracing.is_on() is is_on


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "-1", "OTEL_"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization: hush", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "a=b,hush", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
    ],
)
def test_what_is_wrong_is_told_by_name_and_without_its_value(
    environment: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    environment.setenv(ENDPOINT, NOWHERE)
    environment.setenv(name, value)

    with pytest.raises(SettingsInvalid) as refused:
        tracing.begin("service")

    assert str(refused.value).startswith(told)
    assert "hush" not in str(refused.value)
    assert not tracing.is_on()


@pytest.mark.parametrize("value", ["authorization=Bearer hush=é", "two words=hush"])
def test_headers_that_the_sdk_does_not_understand_are_not_logged(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str
) -> None:
    environment.setenv(ENDPOINT, NOWHERE)
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", value)

    tracing.begin("service")

    assert "hush" not in caplog.text
