"""Links lead somewhere, commands exist, and nothing in the project names where it was made."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from billing_service.cli import app as service
from tests.docs.pages import ROOT, Page, page, pages, text_files

#: Where packages are.
PACKAGES = (ROOT, ROOT / "clients" / "storefront")

#: Links that lead out of the project.
FOREIGN = ("https://", "mailto:")

#: Spelled in halves, so that this file does not name them itself.
REGISTRIES = [
    f"{name}.{end}"
    for name, end in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("golang", "org"),
        ("crates", "io"),
    )
]
MACHINE_PATHS = [f"/{root}/" for root in ("work", "root", "home", "Users")]
ELSEWHERE = re.compile("|".join(map(re.escape, REGISTRIES + MACHINE_PATHS)))

_TARGET = re.compile(r"\bmake ([a-z][a-z-]*)")
_COMMAND = re.compile(r"python -m ([a-z_.]+)((?: [a-z]+)*)")


@pytest.mark.parametrize("of", pages(), ids=str)
def test_every_link_within_the_project_leads_to_a_file_and_a_heading(of: Page) -> None:
    broken = [link for link in of.links if not link.startswith(FOREIGN) and not _leads(of, link)]

    assert broken == []


def _leads(of: Page, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = of.path if not path else (of.path.parent / path).resolve()
    if not target.exists() or not target.is_relative_to(ROOT):
        return False
    return not anchor or anchor in Page(target).anchors


def _in_code(of: Page) -> str:
    """Only what is set as code is a command; `make` is an English word too."""
    spans = re.findall(r"`([^`\n]+)`", of.prose)
    return "\n".join([*spans, *of.code("sh"), *of.code("")])


@pytest.mark.parametrize("of", pages(), ids=str)
def test_every_target_that_is_named_is_in_the_makefile(of: Page) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    named = set(_TARGET.findall(_in_code(of)))

    assert named - targets == set()


@pytest.mark.parametrize("of", pages(), ids=str)
def test_every_command_of_ours_that_is_named_exists(of: Page) -> None:
    named = set(_COMMAND.findall(_in_code(of)))

    assert {_said(module, words) for module, words in named if not _exists(module, words)} == set()


def _said(module: str, words: str) -> str:
    return f"python -m {module}{words}"


def _exists(module: str, words: str) -> bool:
    if not any(_is_there(root / module.replace(".", "/")) for root in PACKAGES):
        return False
    command = get_command(service) if module == "billing_service" else None
    for word in words.split():
        commands = getattr(command, "commands", {})
        if word not in commands:
            # What is left are arguments, of a command that takes them.
            return command is None or not commands
        command = commands[word]
    return True


def _is_there(path: Path) -> bool:
    return (path / "__main__.py").exists() or path.with_suffix(".py").exists()


def test_the_front_page_names_every_command_of_the_service() -> None:
    named = _COMMAND.findall(_in_code(page("README.md")))

    said = {words.split()[0] for _, words in named if words}

    assert said >= {"serve", "migrate", "catalog", "doctor"}
    commands = vars(get_command(service))["commands"]
    assert said >= {name for name, command in commands.items() if not command.hidden}


def test_no_file_names_a_package_registry_or_a_path_of_the_machine_it_was_made_on() -> None:
    found = {path: set(ELSEWHERE.findall(text)) for path, text in text_files()}

    assert {path: names for path, names in found.items() if names} == {}
