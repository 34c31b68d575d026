"""The dashboard: written from its tables, and about metrics that there are."""

import json
import re
from pathlib import Path

import pytest
import typer
from prometheus_client import REGISTRY
from typer.testing import CliRunner

from billing_service import metrics
from deploy import dashboard
from tests.deploy.manifests import rendered
from tests.docs.pages import page
from webhook_gateway.metrics import Metrics

SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}


def _samples() -> set[str]:
    """Every name that either process serves."""
    assert metrics.READY is not None
    return {
        f"{family.name}{suffix}"
        for registry in (REGISTRY, Metrics().registry)
        for family in registry.collect()
        for suffix in SUFFIXES.get(family.type, [""])
    }


def _panels() -> list[dashboard.Json]:
    return [each for each in dashboard.dashboard()["panels"] if each["type"] != "row"]


def _queries() -> list[str]:
    return [target["expr"] for panel in _panels() for target in panel["targets"]]


def test_every_metric_that_is_asked_for_exists():
    named = set(re.findall(r"\b(?:paidup|grpc|process)_\w+(?=\{)", " ".join(_queries())))

    assert named
    assert named - _samples() == set()


def test_the_labels_that_are_asked_for_are_the_metrics():
    known = {
        family: set(names)
        for registry in (REGISTRY, Metrics().registry)
        for collector in list(registry._collector_to_names)
        if (names := getattr(collector, "_labelnames", None)) is not None
        for family in registry._collector_to_names[collector]
    }
    of_prometheus = {"namespace", "pod", "endpoint", "job", "le"}
    for query in _queries():
        (metric, matchers) = re.findall(r"(\w+)\{(.*?)\}", query)[0]
        grouped = re.findall(r"by \((.*?)\)", query)
        used = set(re.findall(r"(\w+)(?:!?=~?)", matchers)) | set(", ".join(grouped).split(", "))
        assert used - {""} <= of_prometheus | known.get(metric, set()), query


def test_every_query_is_balanced_and_counters_are_asked_for_as_rates():
    for query in _queries():
        assert all(query.count(a) == query.count(b) for a, b in ("()", "[]", "{}")), query
        for name in re.findall(r"\w+_(?:total|bucket)\{", query):
            assert f"rate({name}" in query


def test_every_panel_says_what_one_sees_and_what_to_do():
    for panel in _panels():
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert [link["title"] for link in panel["links"]] == ["What to do"]


def test_every_link_leads_to_a_heading():
    links = [link for panel in _panels() for link in panel["links"]]

    for link in [*links, *dashboard.dashboard()["links"]]:
        file, _, heading = link["url"].removeprefix("${docs}/").partition("#")
        assert heading in page(f"docs/{file}").anchors, link


def test_panels_have_numbers_of_their_own_and_do_not_cover_each_other():
    places = dashboard.dashboard()["panels"]

    assert len({each["id"] for each in places}) == len(places)
    taken = [
        (x, y)
        for each in places
        for x in range(each["gridPos"]["x"], each["gridPos"]["x"] + each["gridPos"]["w"])
        for y in range(each["gridPos"]["y"], each["gridPos"]["y"] + each["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < dashboard.COLUMNS


def test_grafana_finds_it_by_its_label():
    found = rendered("example").one("ConfigMap", "paidup-dashboard")

    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["dashboard.json"])["uid"] == "paidup"


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    app.command()(dashboard.main)
    return app


def test_the_file_is_up_to_date(command):
    assert CliRunner().invoke(command, ["--check"]).exit_code == 0


def test_a_check_of_a_file_that_differs_fails_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command
):
    other = tmp_path / "dashboard.json"
    other.write_text("{}")
    monkeypatch.setattr(dashboard, "FILE", other)

    ended = CliRunner().invoke(command, ["--check"])

    assert (ended.exit_code, other.read_text()) == (1, "{}")
    assert "python -m deploy.dashboard" in ended.output
