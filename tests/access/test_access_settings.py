"""Settings of who may call: what makes no sense together is told at once, and nothing starts."""

import pytest
from pydantic import ValidationError

from billing_service.access_settings import AccessSettings
from billing_service.door import DoorInvalid, open_door

TLS = {"tls_certificate_file": "c", "tls_key_file": "k"}
JWT = {"jwt_jwks_file": "j", "jwt_issuers": "https://issuer", "jwt_audience": "paidup"}
POLICY = {"policy_file": "p"}


def _problems(**settings: object) -> list[str]:
    try:
        AccessSettings(**settings)
    except ValidationError as error:
        (problem,) = error.errors()
        return problem["msg"].removeprefix("Value error, ").splitlines()
    return []


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"allow_plaintext": True, "grpc_listen": "0.0.0.0:1"},
        {**TLS, **POLICY, "tls_client_ca_file": "a", "grpc_listen": "0.0.0.0:1"},
        {**TLS, **POLICY, "tokens_file": "t", "grpc_listen": "0.0.0.0:1"},
        {**TLS, **POLICY, **JWT},
        {**POLICY, "tokens_file": "t"},
        {**POLICY, **JWT, "allow_plaintext": True, "grpc_listen": "0.0.0.0:1"},
        {**TLS, **POLICY, **JWT, "tls_client_ca_file": "a", "grpc_token_listen": "0.0.0.0:2"},
    ],
)
def test_what_makes_sense_is_taken(settings):
    assert _problems(**settings) == []


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"grpc_listen": "0.0.0.0:1"}, "PAIDUP_GRPC_LISTEN: plaintext on anything but loopback"),
        (
            {**POLICY, "tokens_file": "t", "grpc_listen": "0.0.0.0:1"},
            "PAIDUP_GRPC_LISTEN: plaintext on anything but loopback",
        ),
        ({**TLS}, "PAIDUP_TLS_CERTIFICATE_FILE: does not tell who calls"),
        ({**TLS, "tokens_file": "t"}, "PAIDUP_POLICY_FILE: is required"),
        ({**TLS, "tls_client_ca_file": "a"}, "PAIDUP_POLICY_FILE: is required"),
        ({**JWT}, "PAIDUP_POLICY_FILE: is required"),
        ({**POLICY}, "PAIDUP_POLICY_FILE: needs callers that prove who they are"),
        ({**POLICY, "tls_client_ca_file": "a"}, "PAIDUP_TLS_CLIENT_CA_FILE: needs"),
        (
            {**POLICY, **TLS, "tls_client_ca_file": "a", "tls_key_file": None},
            "PAIDUP_TLS_CERTIFICATE_FILE, PAIDUP_TLS_KEY_FILE: need each other",
        ),
        (
            {**POLICY, "tokens_file": "t", "jwt_issuers": "i"},
            "PAIDUP_JWT_JWKS_FILE, PAIDUP_JWT_ISSUERS, PAIDUP_JWT_AUDIENCE: need each other",
        ),
        (
            {**POLICY, **JWT, "jwt_audience": ""},
            "PAIDUP_JWT_JWKS_FILE, PAIDUP_JWT_ISSUERS, PAIDUP_JWT_AUDIENCE: need each other",
        ),
        (
            {**POLICY, **TLS, "tls_client_ca_file": "a", "grpc_token_listen": "h:2"},
            "PAIDUP_GRPC_TOKEN_LISTEN: needs PAIDUP_TOKENS_FILE or PAIDUP_JWT_JWKS_FILE",
        ),
        (
            {**POLICY, **TLS, "tokens_file": "t", "grpc_token_listen": "h:2"},
            "PAIDUP_GRPC_TOKEN_LISTEN: needs PAIDUP_TLS_CLIENT_CA_FILE",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(settings, told):
    (problem,) = _problems(**settings)

    assert problem.startswith(told)


def test_all_problems_are_told_at_once():
    problems = _problems(
        grpc_listen="0.0.0.0:1", tls_client_ca_file="a", tls_key_file="k", jwt_audience="paidup"
    )

    assert [each.partition(":")[0] for each in problems] == [
        "PAIDUP_GRPC_LISTEN",
        "PAIDUP_TLS_CERTIFICATE_FILE, PAIDUP_TLS_KEY_FILE",
        "PAIDUP_TLS_CLIENT_CA_FILE",
        "PAIDUP_JWT_JWKS_FILE, PAIDUP_JWT_ISSUERS, PAIDUP_JWT_AUDIENCE",
        "PAIDUP_POLICY_FILE",
    ]


def test_without_any_of_it_everybody_is_let_in_as_before():
    door = open_door(AccessSettings())

    assert (door.access, door.credentials, door.token_credentials) == (None, None, None)


def test_files_that_cannot_be_used_are_all_named_and_nothing_is_opened(files):
    files.write("policy.toml", "[[caller]]\nname = 'a'\n")
    files.write("tokens", "shop hunter2\n")
    files.write("tls.key", files.authority.issue_for_server().key)
    files.path("jwks.json").unlink()

    with pytest.raises(DoorInvalid) as invalid:
        open_door(files.settings())

    told = str(invalid.value)
    assert [name for name in ("policy.toml", "tokens", "tls.key", "jwks.json") if name in told] == [
        "policy.toml",
        "tokens",
        "tls.key",
        "jwks.json",
    ]
    assert len(told.splitlines()) == 4
    assert "hunter2" not in told
