"""`make audit`: the locked dependencies, held against what is known to be vulnerable.

Where the database of vulnerabilities is out of reach, that is said and the audit
is skipped; with `--strict` that is a failure too. Anything else that keeps a single
dependency from being looked up is a failure: no finding may pass for a skip.
"""

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

LOCK = Path(__file__).parent.parent / "requirements" / "server.txt"
#: For all lookups together, in seconds.
TIMEOUT = 600
#: For one of them.
LOOKUP_TIMEOUT = 15
EXIT_FOUND = 1

#: How pip-audit's last line begins when there is no way to the database.
OUT_OF_REACH = re.compile(
    r"requests\.exceptions\.(ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError)\b"
    r"|(ERROR:pip_audit\.\S+:)?Could not connect to \S+ vulnerability feed"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What came of an audit."""

    #: Whether nothing is known against the lock; None where the database was out of reach.
    clean: bool | None
    text: str


def judge(code: int, output: str, errors: str) -> Verdict:
    """Read what pip-audit printed; what is not understood is no clean bill."""
    try:
        found = json.loads(output)["dependencies"]
        vulnerable = [each for each in found if each.get("vulns")]
        skipped = [each for each in found if "vulns" not in each]
    except (ValueError, TypeError, KeyError, AttributeError):
        return _without_report(errors)
    if vulnerable:
        return Verdict(clean=False, text="\n".join(_told(each) for each in vulnerable))
    if skipped and len(skipped) == len(found):
        # Every one of them was published: what knows none of them is not the database.
        return Verdict(clean=None, text=f"it knows none of the {len(found)} dependencies")
    if skipped:
        return Verdict(clean=False, text=f"not looked up: {', '.join(_names(skipped))}")
    if code != 0 or not found:
        return Verdict(clean=False, text=f"ended with {code}: {_last(errors)}")
    return Verdict(clean=True, text=f"nothing is known against {len(found)} dependencies")


def _without_report(errors: str) -> Verdict:
    last = _last(errors)
    if OUT_OF_REACH.match(last):
        return Verdict(clean=None, text=last.partition(":")[0])
    return Verdict(clean=False, text=last or "no report")


def _last(errors: str) -> str:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def _names(dependencies: list[dict[str, Any]]) -> list[str]:
    return [str(each["name"]) for each in dependencies]


def _told(dependency: dict[str, Any]) -> str:
    known = (
        f"{each['id']} (fixed in {', '.join(each.get('fix_versions') or ['nothing yet'])})"
        for each in dependency["vulns"]
    )
    return f"{dependency['name']} {dependency.get('version', '')}: {', '.join(known)}"


def main(
    lock: Annotated[Path, typer.Argument(help="The locked requirements, with hashes.")] = LOCK,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Fail where it was skipped.")] = False,
    osv_url: Annotated[str, typer.Option(help="Ask OSV, or what speaks as it, here.")] = "",
) -> None:
    """Look up every locked dependency; end with 1 where something is known against one."""
    service = ["--vulnerability-service", "osv", "--osv-url", osv_url] if osv_url else []
    verdict = _audit(lock, service)
    if verdict.clean is None:
        typer.echo(
            f"Skipped the audit of {lock.name}: the database is out of reach: {verdict.text}."
        )
        raise typer.Exit(EXIT_FOUND if strict else 0)
    typer.echo(f"{lock.name}: {verdict.text}", err=not verdict.clean)
    raise typer.Exit(0 if verdict.clean else EXIT_FOUND)


def _audit(lock: Path, service: list[str]) -> Verdict:
    options = ["--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off"]
    times = ["--timeout", str(LOOKUP_TIMEOUT)]
    command = [sys.executable, "-m", "pip_audit", *options, *times, *service]
    try:
        ended = subprocess.run(  # noqa: S603 - the audit's own line
            [*command, "--requirement", str(lock)],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Verdict(clean=False, text=f"no end after {TIMEOUT} seconds")
    return judge(ended.returncode, ended.stdout, ended.stderr)


if __name__ == "__main__":
    typer.run(main)
