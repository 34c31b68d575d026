"""What the storefront is told by its environment."""

import ipaddress
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import urlsplit

PREFIX = "STOREFRONT_"
STRIPE_JS = "https://js.stripe.com/dahlia/stripe.js"
SHORTEST_SECRET = 32

_LISTEN = re.compile(r"(?:[\w.-]+|\[[0-9a-fA-F:]+\]):\d{1,5}")
#: What stands in a policy must not be read as more of it.
_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+(?:/[\w./-]*)?")


class SettingsInvalid(Exception):
    """The text names every setting that is wrong, one a line, and no value."""


def _told(default: str, what: str) -> str:
    kept: str = field(default=default, metadata={"what": what})
    return kept


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    listen: str = _told(
        "127.0.0.1:4242", "Where the pages are served: `HOST:PORT`. Port 0 takes a free one."
    )
    public_url: str = _told(
        "",
        "The shop's own address, as customers type it. Stripe sends them back there. "
        "Without it, where the pages are served.",
    )
    billing: str = _told("127.0.0.1:50051", "Where `billing_service` is.")
    billing_ca_file: str = _told(
        "", "Whom to trust when it proves itself: a PEM file. Without it, gRPC's own roots."
    )
    billing_certificate_file: str = _told(
        "", "The shop's certificate, where `billing_service` asks for one: a PEM file."
    )
    billing_key_file: str = _told("", "The key of that certificate: a PEM file.")
    billing_token_file: str = _told(
        "", "The token by which `billing_service` knows the shop: a file."
    )
    billing_plaintext: str = _told(
        "", "`yes` calls it without TLS also elsewhere than on loopback, in a mesh that encrypts."
    )
    catalog: str = _told("catalog.toml", "What is sold: the file that `catalog apply` was given.")
    stripe_js: str = _told(
        STRIPE_JS,
        "Where Stripe.js is loaded from. For the emulator: "
        "`http://127.0.0.1:12111/dahlia/stripe.js`.",
    )
    secret: str = field(
        default="",
        repr=False,
        metadata={
            "what": f"What sessions are signed with: at least {SHORTEST_SECRET} characters, the "
            "same in every process. Without it, on loopback only, sessions end with the process."
        },
    )
    made_up_users: str = _told(
        "", "`yes` lets anybody sign in as anybody also where the shop is not on loopback."
    )

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine's users can reach the shop."""
        host = urlsplit(f"//{self.listen}").hostname or ""
        public = urlsplit(self.public_url).hostname if self.public_url else host
        return is_loopback(host) and is_loopback(public or "")


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(env: Mapping[str, str]) -> Settings:
    """Read the settings; raise `SettingsInvalid` that names all that are wrong at once."""
    complaints: list[str] = []
    values = {each.name: _value(env, each.name, complaints) for each in fields(Settings)}
    given = {name: value for name, value in values.items() if value}
    settings = Settings(**given)
    complaints += _wrong(settings)
    if complaints:
        raise SettingsInvalid("\n".join(complaints))
    if settings.secret:
        return settings
    return Settings(**{**given, "secret": secrets.token_urlsafe(SHORTEST_SECRET)})


def _value(env: Mapping[str, str], name: str, complaints: list[str]) -> str:
    variable = f"{PREFIX}{name.upper()}"
    path = env.get(f"{variable}_FILE", "")
    if env.get(variable) or not path:
        return env.get(variable, "").strip()
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError):
        complaints.append(f"{variable}_FILE: cannot be read")
        return ""


def _wrong(settings: Settings) -> list[str]:
    return [f"{PREFIX}{name}: {what}" for name, what, is_wrong in _RULES if is_wrong(settings)]


def _is_url(url: str) -> bool:
    return _URL.fullmatch(url) is not None


def _leaves_loopback_in_clear(url: str) -> bool:
    return url.startswith("http://") and not is_loopback(urlsplit(url).hostname or "")


#: Variable, what is said, and when it is said.
_RULES: tuple[tuple[str, str, Callable[[Settings], bool]], ...] = (
    ("LISTEN", "must be HOST:PORT", lambda our: not _LISTEN.fullmatch(our.listen)),
    (
        "PUBLIC_URL",
        "must be an address without a path, such as https://shop.example.com",
        lambda our: (
            bool(our.public_url)
            and (not _is_url(our.public_url) or urlsplit(our.public_url).path not in {"", "/"})
        ),
    ),
    (
        "PUBLIC_URL",
        "is needed where the shop is not on loopback",
        lambda our: not our.public_url and not our.is_local,
    ),
    (
        "PUBLIC_URL",
        "must be https, except on loopback",
        lambda our: _leaves_loopback_in_clear(our.public_url),
    ),
    (
        "BILLING_KEY_FILE",
        "a certificate and its key need each other",
        lambda our: bool(our.billing_key_file) != bool(our.billing_certificate_file),
    ),
    (
        "BILLING_PLAINTEXT",
        "must be yes or nothing",
        lambda our: our.billing_plaintext not in {"", "yes"},
    ),
    (
        "BILLING_PLAINTEXT",
        "certificates are for TLS",
        lambda our: (
            bool(our.billing_plaintext)
            and bool(our.billing_ca_file or our.billing_certificate_file or our.billing_key_file)
        ),
    ),
    ("STRIPE_JS", "must be a URL", lambda our: not _is_url(our.stripe_js)),
    (
        "STRIPE_JS",
        "must be https, except on loopback",
        lambda our: _leaves_loopback_in_clear(our.stripe_js),
    ),
    ("CATALOG", "no such file", lambda our: not Path(our.catalog).is_file()),
    (
        "SECRET",
        f"must have at least {SHORTEST_SECRET} characters",
        lambda our: 0 < len(our.secret) < SHORTEST_SECRET,
    ),
    (
        "SECRET",
        "is needed where the shop is not on loopback",
        lambda our: not our.secret and not our.is_local,
    ),
    ("MADE_UP_USERS", "must be yes or nothing", lambda our: our.made_up_users not in {"", "yes"}),
    (
        "MADE_UP_USERS",
        "anybody can sign in as anybody: replace sign_in.py by your own, or say yes here",
        lambda our: not our.made_up_users and not our.is_local,
    ),
)


def described() -> list[tuple[str, str, str]]:
    """Give each setting's variable, default and meaning."""
    return [
        (f"{PREFIX}{each.name.upper()}", str(each.default), each.metadata["what"])
        for each in fields(Settings)
    ]
