"""Writes Grafana's dashboard from the tables in `deploy/panels.py`.

`python -m deploy.dashboard` writes it; with `--check` it writes nothing and ends with 1 where the
file differs.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from deploy.panels import ROWS, Panel, Row

FILE = Path(__file__).parent / "kustomize" / "components" / "monitoring" / "dashboard.json"
COMMAND = "python -m deploy.dashboard"

Json = dict[str, Any]

#: The grid's columns, and how many panels share a line.
COLUMNS = 24
PER_LINE = 3
WIDTH = COLUMNS // PER_LINE
HEIGHT = 8
#: The oldest schema that has all that we use; Grafana raises it by itself.
SCHEMA = 39
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def dashboard() -> Json:
    return {
        "uid": "paidup",
        "title": "Paidup",
        "description": f"Written by `{COMMAND}`.",
        "tags": ["paidup"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [_link("What each metric means", "operations.md#metrics")],
        "panels": list(_numbered(_panels())),
    }


def _variables() -> list[Json]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "namespace",
            "label": "Namespace",
            "type": "query",
            "datasource": DATASOURCE,
            "query": {"query": "label_values(paidup_ready, namespace)", "refId": "namespace"},
            "refresh": 2,
            "includeAll": True,
            "multi": True,
            "current": {"text": "All", "value": "$__all"},
        },
        {
            "name": "docs",
            "label": "Where this project's docs are",
            "type": "textbox",
            "query": "/docs",
            "current": {"text": "/docs", "value": "/docs"},
        },
    ]


def _link(title: str, page: str) -> Json:
    return {"title": title, "type": "link", "url": f"${{docs}}/{page}", "targetBlank": True}


def _panels() -> Iterator[Json]:
    top = 0
    for row in ROWS:
        yield _heading(row, top)
        top += 1
        for index, panel in enumerate(row.panels):
            line, column = divmod(index, PER_LINE)
            yield _panel(row, panel, x=column * WIDTH, y=top + line * HEIGHT)
        top += HEIGHT * -(-len(row.panels) // PER_LINE)


def _numbered(panels: Iterable[Json]) -> Iterator[Json]:
    return ({"id": number, **panel} for number, panel in enumerate(panels, 1))


def _heading(row: Row, y: int) -> Json:
    place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
    return {"type": "row", "title": row.title, "gridPos": place, "collapsed": False, "panels": []}


def _panel(row: Row, panel: Panel, *, x: int, y: int) -> Json:
    return {
        "type": "timeseries",
        "title": panel.title,
        "description": panel.what,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "links": [_link("What to do", row.page)],
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": panel.least}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": DATASOURCE,
                "expr": query,
                "legendFormat": legend,
            }
            for number, (legend, query) in enumerate(panel.queries.items())
        ],
    }


def main(
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; end with 1 where the file differs.")
    ] = False,
) -> None:
    """Write Grafana's dashboard."""
    text = json.dumps(dashboard(), indent=2) + "\n"
    if not check:
        FILE.write_text(text)
    elif not FILE.exists() or FILE.read_text() != text:
        sys.stderr.write(f"{FILE.name} differs from its tables: run {COMMAND}.\n")
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
