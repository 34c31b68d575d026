import secrets
import string

ALPHABET = string.ascii_letters + string.digits

#: How many random characters follow the prefix; the rest get Stripe's usual 24.
LENGTHS = {"cus": 14, "prod": 14, "si": 14, "ii": 24, "req": 14, "cs_test": 58}
DEFAULT_LENGTH = 24


def new(prefix: str) -> str:
    return f"{prefix}_{opaque(LENGTHS.get(prefix, DEFAULT_LENGTH))}"


def opaque(length: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def client_secret(owner_id: str) -> str:
    return f"{owner_id}_secret_{opaque(DEFAULT_LENGTH)}"
