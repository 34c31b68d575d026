"""The client that the whole shop shares."""

from paidup import BillingClient, TlsFiles
from storefront.settings import PREFIX, Settings, SettingsInvalid


def billing_client(ours: Settings) -> BillingClient:
    """Make it, within a running loop. Raises SettingsInvalid for files that cannot be used."""
    try:
        return BillingClient(
            ours.billing,
            tls=_tls(ours),
            plaintext=True if ours.billing_plaintext else None,
            token_file=ours.billing_token_file or None,
        )
    except (OSError, ValueError) as error:
        # Tells of the file, and nothing of what it holds.
        raise SettingsInvalid(f"{PREFIX}BILLING_…_FILE: {error}") from error


def _tls(ours: Settings) -> TlsFiles | None:
    files = {
        "ca": ours.billing_ca_file,
        "certificate": ours.billing_certificate_file,
        "key": ours.billing_key_file,
    }
    given = {name: file for name, file in files.items() if file}
    return TlsFiles(**given) if given else None
