"""PromQL for the dashboard, always of the namespaces that are chosen."""

HERE = 'namespace=~"$namespace"'
#: The range of rates: Prometheus' own, never shorter than four scrapes.
RANGE = "$__rate_interval"


def of(metric: str, *labels: str) -> str:
    return f"{metric}{{{','.join([HERE, *labels])}}}"


def rate(metric: str, *labels: str) -> str:
    return f"rate({of(metric, *labels)}[{RANGE}])"


def flow(metric: str, *labels: str, by: str = "") -> str:
    """Give how many a second, all pods together."""
    return f"sum{_by(by)}({rate(metric, *labels)})"


def worst(metric: str, *labels: str, by: str = "") -> str:
    """Give the highest that any pod tells."""
    return f"max{_by(by)}({of(metric, *labels)})"


def quantile(share: float, histogram: str, by: str = "") -> str:
    return f"histogram_quantile({share}, {flow(f'{histogram}_bucket', by=f'le, {by}'.strip(', '))})"


def _by(labels: str) -> str:
    return f" by ({labels}) " if labels else ""
