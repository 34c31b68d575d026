"""Tokens of Kubernetes' service accounts, checked with the cluster's public keys alone.

Nobody is asked: the keys are in a file, and whoever holds no private key of the cluster's
cannot make a token that fits them.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from billing_service.watched_file import FileInvalid, WatchedFiles

#: What keys may be for: those of two halves. With a shared secret, whoever checks could sign.
ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
LEAST_RSA_BITS = 2048
#: How far the clocks of issuer and service may be apart, in seconds.
LEEWAY = 10
#: How many verified tokens are remembered, so that a signature is checked once each.
REMEMBERED = 10_000

_SUBJECT = re.compile(r"system:serviceaccount:[a-z0-9.-]{1,253}:[a-z0-9.-]{1,253}")

#: By the fault that was found; the first that fits.
_FAULTS: Mapping[type[Exception], str] = {
    jwt.ExpiredSignatureError: "expired",
    jwt.ImmatureSignatureError: "not_yet_valid",
    jwt.InvalidAudienceError: "wrong_audience",
    jwt.InvalidIssuerError: "wrong_issuer",
    jwt.InvalidAlgorithmError: "wrong_algorithm",
    jwt.InvalidSignatureError: "wrong_signature",
    jwt.MissingRequiredClaimError: "claim_missing",
}

Keys = Mapping[str, jwt.PyJWK]


class TokenInvalid(Exception):
    """The token proves nothing."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """Whom a token names, and until when."""

    subject: str
    #: Unix time, the leeway included.
    expires: float


class ServiceTokens:
    """Tells whose a token is."""

    def __init__(
        self,
        keys: WatchedFiles[Keys],
        *,
        issuers: Sequence[str],
        audience: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keys = keys
        self._issuers = list(issuers)
        self._audience = audience
        self._now = now
        self._with: Keys = keys.current
        #: By digest: a token itself is kept nowhere.
        self._verified: dict[bytes, Verified] = {}

    def verify(self, token: str) -> Verified:
        """Tell whose token it is; raise `TokenInvalid`."""
        if self._with is not self._keys.current:
            self._with = self._keys.current
            self._verified.clear()
        digest = hashlib.sha256(token.encode()).digest()
        known = self._verified.get(digest)
        if known is None:
            known = self._remember(digest, self._verify(token))
        if known.expires <= self._now():
            raise TokenInvalid("expired")
        return known

    def _remember(self, digest: bytes, verified: Verified) -> Verified:
        if len(self._verified) >= REMEMBERED:
            del self._verified[next(iter(self._verified))]
        self._verified[digest] = verified
        return verified

    def _verify(self, token: str) -> Verified:
        try:
            key = self._with.get(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                raise TokenInvalid("unknown_key")
            claims = jwt.decode(
                token,
                key=key,
                # The key's own, whatever the token says of itself.
                algorithms=[key.algorithm_name],
                issuer=self._issuers,
                audience=self._audience,
                leeway=LEEWAY,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            faults = (told for fault, told in _FAULTS.items() if isinstance(error, fault))
            raise TokenInvalid(next(faults, "malformed")) from None
        if not _SUBJECT.fullmatch(claims["sub"]):
            raise TokenInvalid("wrong_subject")
        return Verified(subject=claims["sub"], expires=float(claims["exp"]) + LEEWAY)


def parse(contents: Sequence[bytes]) -> Keys:
    """Read a set of public keys, a JWKS; raise `FileInvalid`."""
    found = json.loads(contents[0]).get("keys")
    if not found:
        raise FileInvalid("holds no keys")
    keys = {str(each.get("kid")): _public_key(number, each) for number, each in enumerate(found)}
    if len(keys) < len(found):
        raise FileInvalid("has two keys of one kid")
    return keys


def _public_key(number: int, fields: Mapping[str, object]) -> jwt.PyJWK:
    if not fields.get("kid"):
        raise FileInvalid(f"key {number} has no kid")
    if "d" in fields or fields.get("kty") not in {"RSA", "EC", "OKP"}:
        raise FileInvalid(f"key {number} is not a public key")
    key = jwt.PyJWK(dict(fields))
    if key.algorithm_name not in ALGORITHMS:
        raise FileInvalid(f"key {number} is for an algorithm that is not accepted")
    if isinstance(key.key, RSAPublicKey) and key.key.key_size < LEAST_RSA_BITS:
        raise FileInvalid(f"key {number} has fewer than {LEAST_RSA_BITS} bits")
    return key
