"""Where gRPC is served, and what proves to whom."""

from collections.abc import Callable
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from subscription_state.settings import Listen, StateSettings, is_loopback


class AccessSettings(StateSettings):
    """Settings of addresses, certificates, tokens and the policy."""

    grpc_listen: Listen = Field(
        default="127.0.0.1:50051", description="Where gRPC is served, `HOST:PORT`."
    )
    grpc_token_listen: Listen | None = Field(
        default=None,
        description="Where gRPC is served besides, over TLS, to callers that have a token and no "
        "certificate, `HOST:PORT`. For where `PAIDUP_TLS_CLIENT_CA_FILE` is set.",
    )
    allow_plaintext: bool = Field(
        default=False,
        description="Whether gRPC may be served without TLS on anything but loopback, as behind "
        "a mesh that encrypts.",
    )
    reflection: bool | None = Field(
        default=None,
        description="Whether the server tells its schema to whoever asks. Unless set: in test "
        "mode.",
    )
    policy_file: Path | None = Field(
        default=None,
        description="A file in TOML that says [who may call what](authentication.md#the-policy). "
        "Needed as soon as callers have to prove who they are.",
    )
    tls_certificate_file: Path | None = Field(
        default=None,
        description="The server's certificate chain in PEM. With it and its key gRPC is served "
        "over TLS.",
    )
    tls_key_file: Path | None = Field(
        default=None, description="The private key of the server's certificate, in PEM."
    )
    tls_client_ca_file: Path | None = Field(
        default=None,
        description="The CA in PEM that callers' certificates are signed by. With it, "
        "`PAIDUP_GRPC_LISTEN` takes nobody without one.",
    )
    tokens_file: Path | None = Field(
        default=None,
        description="A file with the hashes of tokens that `python -m billing_service token` made.",
    )
    jwt_jwks_file: Path | None = Field(
        default=None,
        description="The public keys, a JWKS, of the cluster whose service accounts' tokens are "
        "accepted.",
    )
    jwt_issuers: str = Field(
        default="",
        description="The cluster's issuer, as in `iss` of its tokens. Several, comma separated, "
        "are names of one cluster.",
    )
    jwt_audience: str = Field(
        default="", description="What `aud` of such a token has to name, such as `paidup`."
    )

    @property
    def authenticates(self) -> bool:
        """Whether callers have to prove who they are."""
        return any((self.tls_client_ca_file, self.tokens_file, self.jwt_jwks_file))

    @property
    def plaintext(self) -> bool:
        return self.tls_certificate_file is None

    @property
    def takes_tokens(self) -> bool:
        return any((self.tokens_file, self.jwt_jwks_file))

    @model_validator(mode="after")
    def _callers_are_known(self) -> Self:
        problems = [problem for problem, is_there in _PROBLEMS.items() if is_there(self)]
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _jwt_is_half_set(settings: AccessSettings) -> bool:
    parts = (settings.jwt_jwks_file, settings.jwt_issuers, settings.jwt_audience)
    return any(parts) and not all(parts)


_PROOFS = "PAIDUP_TLS_CLIENT_CA_FILE, PAIDUP_TOKENS_FILE or PAIDUP_JWT_JWKS_FILE"

#: What can be wrong, and whether it is.
_PROBLEMS: dict[str, Callable[[AccessSettings], bool]] = {
    "PAIDUP_GRPC_LISTEN: plaintext on anything but loopback needs PAIDUP_ALLOW_PLAINTEXT=true": (
        lambda it: it.plaintext and not is_loopback(it.grpc_listen) and not it.allow_plaintext
    ),
    "PAIDUP_GRPC_TOKEN_LISTEN: needs PAIDUP_TLS_CLIENT_CA_FILE": (
        lambda it: it.grpc_token_listen is not None and it.tls_client_ca_file is None
    ),
    "PAIDUP_GRPC_TOKEN_LISTEN: needs PAIDUP_TOKENS_FILE or PAIDUP_JWT_JWKS_FILE": (
        lambda it: it.grpc_token_listen is not None and not it.takes_tokens
    ),
    "PAIDUP_TLS_CERTIFICATE_FILE, PAIDUP_TLS_KEY_FILE: need each other": (
        lambda it: (it.tls_certificate_file is None) != (it.tls_key_file is None)
    ),
    f"PAIDUP_TLS_CERTIFICATE_FILE: does not tell who calls; that needs {_PROOFS}": (
        lambda it: not it.plaintext and not it.authenticates
    ),
    "PAIDUP_TLS_CLIENT_CA_FILE: needs PAIDUP_TLS_CERTIFICATE_FILE": (
        lambda it: it.plaintext and it.tls_client_ca_file is not None
    ),
    "PAIDUP_JWT_JWKS_FILE, PAIDUP_JWT_ISSUERS, PAIDUP_JWT_AUDIENCE: need each other": (
        _jwt_is_half_set
    ),
    "PAIDUP_POLICY_FILE: is required where callers prove who they are": (
        lambda it: it.authenticates and it.policy_file is None
    ),
    f"PAIDUP_POLICY_FILE: needs callers that prove who they are, by {_PROOFS}": (
        lambda it: it.policy_file is not None and not it.authenticates
    ),
}
