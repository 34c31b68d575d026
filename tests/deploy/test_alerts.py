"""Every alert fires when it should and not otherwise, and says what is to be done."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.docs.pages import ROOT, page

RULES = ROOT / "deploy/kustomize/components/monitoring/alerts.yaml"
CASES = yaml.safe_load(Path(__file__).with_name("alerts_that_fire.yaml").read_text())
GROUPS = yaml.safe_load(RULES.read_text())["spec"]["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
SEVERITIES = {"critical", "warning"}

#: When nothing is wrong, alerts are looked at here, past every `for`.
LATER = "28h"
_METRIC = re.compile(r"\b(?:paidup|grpc)_\w+")
#: What Prometheus adds to the name of a metric.
_SUFFIX = re.compile(r"_(?:total|bucket)$")


@pytest.fixture(scope="session")
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("This machine has no promtool (Debian: prometheus): no rule is evaluated.")
    return found


def _sources() -> str:
    return "".join(
        path.read_text()
        for package in ("billing_service", "webhook_gateway", "subscription_state")
        for path in (ROOT / package).glob("*.py")
    )


def test_every_metric_that_a_rule_names_is_one_of_ours() -> None:
    sources = _sources()
    named = {name for rule in ALERTS.values() for name in _METRIC.findall(rule["expr"])}

    missing = {
        name
        for name in named
        if f'"{name}"' not in sources and f'"{_SUFFIX.sub("", name)}"' not in sources
    }

    assert missing == set()


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_is_wrong_and_where_it_is_told_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    chapter = page("docs/operations.md").section("## Alerts")

    assert rule["labels"]["severity"] in SEVERITIES
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
    assert f"\n### {name}\n" in chapter
    section = chapter.partition(f"\n### {name}\n")[2].partition("\n### ")[0]
    assert section.strip().lower().startswith(rule["labels"]["severity"])
    assert "**Do:** " in section


def test_every_runbook_is_of_an_alert() -> None:
    chapter = page("docs/operations.md").section("## Alerts")

    assert set(re.findall(r"^### (\w+)$", chapter, re.MULTILINE)) == set(ALERTS)


def test_every_alert_is_tried() -> None:
    assert set(CASES["firing"]) == set(ALERTS)


def test_the_rules_are_read(promtool: str, tmp_path: Path) -> None:
    told = _run(promtool, "check", "rules", str(_rules(tmp_path)))

    assert f"{len(ALERTS)} rules found" in told


def test_nothing_fires_while_all_is_well(promtool: str, tmp_path: Path) -> None:
    quiet = [{"alertname": name, "eval_time": LATER, "exp_alerts": []} for name in ALERTS]

    _run(promtool, "test", "rules", str(_tests(tmp_path, CASES["healthy"], quiet)))


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_fires_when_it_should(promtool: str, tmp_path: Path, name: str) -> None:
    case, rule = CASES["firing"][name], ALERTS[name]
    labels = {**rule["labels"], **case.get("labels", {"namespace": "shop"})}
    expected = {"exp_labels": labels, "exp_annotations": rule["annotations"]}
    at = case.get("at", "25m")
    fired = [{"alertname": name, "eval_time": at, "exp_alerts": [expected]}]

    _run(promtool, "test", "rules", str(_tests(tmp_path, case["series"], fired)))


def _rules(folder: Path) -> Path:
    """Write the rules as Prometheus reads them; a `PrometheusRule` is for its operator."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": GROUPS}))
    return path


def _tests(folder: Path, series: dict[str, Any], alerts: list[dict[str, Any]]) -> Path:
    path = folder / "tests.yaml"
    told = [{"series": name, "values": str(values)} for name, values in series.items()]
    tests = {
        "rule_files": [str(_rules(folder))],
        "tests": [{"interval": "1m", "input_series": told, "alert_rule_test": alerts}],
    }
    path.write_text(yaml.safe_dump(tests))
    return path


def _run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr
