"""Who calls: told from a token that comes with the call, or from the connection's certificate."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import grpc

from billing_service import certificates, metrics
from billing_service.errors import Unauthenticated
from billing_service.service_tokens import ServiceTokens, TokenInvalid
from billing_service.static_tokens import StaticTokens
from billing_service.watched_file import WatchedFiles

Call = grpc.aio.ServicerContext

HEADER = "authorization"
SCHEME = "bearer"
#: A service account's token has three parts; none of ours holds a dot.
DOTS_OF_JWT = 2

#: By outcome; what is said of a token repeats nothing of it.
_TOLD = {
    "missing": "The call shows neither a certificate nor a token.",
    "nameless": "The certificate has neither a SPIFFE ID nor a DNS name.",
    "malformed": "The authorization is not one bearer token.",
    "unknown": "The token is not known here.",
    "unknown_key": "The token is signed with a key that is not known here.",
    "wrong_algorithm": "The token's algorithm is not accepted.",
    "wrong_signature": "The token's signature is wrong.",
    "wrong_issuer": "The token is another issuer's.",
    "wrong_audience": "The token is for another audience.",
    "wrong_subject": "The token is not a service account's.",
    "claim_missing": "The token lacks a claim.",
    "expired": "The token has expired.",
    "not_yet_valid": "The token is not valid yet.",
}


#: By kind and outcome; finding one anew takes longer than counting it.
_counted = cache(metrics.AUTHENTICATIONS.labels)


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """Whoever calls, as the policy names them."""

    #: How that was proven: `certificate`, `jwt` or `token`.
    kind: str
    name: str
    #: Unix time from which on this proves nothing; None where nothing ends it.
    expires: float | None = None


class _Unproven(Exception):
    def __init__(self, kind: str, outcome: str) -> None:
        super().__init__(outcome)
        self.kind = kind
        self.outcome = outcome


class Callers:
    """Tells who calls, or that nobody could be made out."""

    def __init__(
        self,
        *,
        tokens: WatchedFiles[StaticTokens] | None,
        service_tokens: ServiceTokens | None,
    ) -> None:
        self._tokens = tokens
        self._service_tokens = service_tokens

    def of(self, call: Call) -> Caller:
        """Tell who calls; raise `Unauthenticated`.

        A token goes before the certificate, which may be a proxy's. One that proves nothing
        is refused, whatever the certificate says.
        """
        try:
            caller = self._proven(call)
        except _Unproven as unproven:
            _counted(unproven.kind, unproven.outcome).inc()
            raise Unauthenticated(_TOLD[unproven.outcome]) from None
        _counted(caller.kind, "ok").inc()
        return caller

    def _proven(self, call: Call) -> Caller:
        shown = [value for name, value in call.invocation_metadata() or () if name == HEADER]
        if not shown:
            return _certified(call.auth_context())
        token = _bearer(shown)
        if token.count(".") == DOTS_OF_JWT:
            return self._service_account(token)
        return self._token_holder(token)

    def _service_account(self, token: str) -> Caller:
        if self._service_tokens is None:
            raise _Unproven("jwt", "unknown")
        try:
            verified = self._service_tokens.verify(token)
        except TokenInvalid as error:
            raise _Unproven("jwt", error.outcome) from None
        return Caller(kind="jwt", name=verified.subject, expires=verified.expires)

    def _token_holder(self, token: str) -> Caller:
        name = self._tokens.current.caller(token) if self._tokens else None
        if name is None:
            raise _Unproven("token", "unknown")
        return Caller(kind="token", name=name)


def _certified(auth_context: Mapping[str, Iterable[bytes]]) -> Caller:
    name = certificates.caller(auth_context)
    if name is not None:
        return Caller(kind="certificate", name=name)
    if "x509_pem_cert" in auth_context:
        raise _Unproven("certificate", "nameless")
    raise _Unproven("none", "missing")


def _bearer(shown: Sequence[str | bytes]) -> str:
    value = shown[0]
    scheme, _, token = value.partition(" ") if isinstance(value, str) else ("", "", "")
    if len(shown) > 1 or scheme.lower() != SCHEME or not token:
        raise _Unproven("token", "malformed")
    return token
