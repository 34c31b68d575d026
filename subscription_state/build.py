"""Which version runs, for metrics and traces."""

from importlib.metadata import PackageNotFoundError, version

from subscription_state.from_stripe import API_VERSION

DISTRIBUTION = "paidup-server"


def build_facts() -> dict[str, str]:
    return {"version": build_version(), "api_version": API_VERSION}


def build_version() -> str:
    """Give the version that was installed; `unknown` where the code was only copied."""
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
