"""`overlays/single` refuses to be more than one pod: each would have a database of its own."""

import os
import subprocess
import sys

import pytest

from tests.deploy.manifests import rendered


def _start(folder: str, pod: str) -> subprocess.CompletedProcess[str]:
    """Do what the pod's first container does."""
    first = rendered(folder).pod["initContainers"][0]
    (variable,) = first["env"]
    assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    _, *arguments = first["command"]
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, variable["name"]: pod},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize("folder", ["single", "try"])
def test_the_first_pod_begins(folder):
    assert _start(folder, "paidup-0").returncode == 0


@pytest.mark.parametrize("pod", ["paidup-1", "paidup-10", "paidup-7f9c"])
@pytest.mark.parametrize("folder", ["single", "try"])
def test_any_other_ends_at_once_and_says_why(folder, pod):
    ended = _start(folder, pod)

    assert ended.returncode == 1
    assert "SQLite is for one pod" in ended.stderr
    assert "overlays/replicated" in ended.stderr
    assert "Traceback" not in ended.stderr
