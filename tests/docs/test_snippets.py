"""What the pages show in Python compiles, and uses only what the client has."""

import ast
import inspect
from collections.abc import Iterator

import pytest

import paidup
from tests.docs.pages import Page, page

SNIPPETS = [
    pytest.param(of, code, id=f"{of}-{number}")
    for of in map(
        page,
        [
            "README.md",
            "docs/integrate.md",
            "docs/integrate-python.md",
            "docs/authentication.md",
            "clients/python/README.md",
        ],
    )
    for number, code in enumerate(of.code("python"), 1)
]


@pytest.mark.parametrize(("of", "code"), SNIPPETS)
def test_a_snippet_compiles_and_imports_what_is_there(of: Page, code: str) -> None:
    tree = compile(code, str(of), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)

    assert {name for name in _imported(tree) if not hasattr(paidup, name)} == set()


@pytest.mark.parametrize(("of", "code"), SNIPPETS)
def test_a_snippet_calls_the_client_as_it_is(of: Page, code: str) -> None:
    calls = list(_client_calls(ast.parse(code)))

    assert [ast.unparse(call) for call in calls if not _fits(call)] == []


def test_the_front_page_and_the_guide_show_calls() -> None:
    shown = [code for of in ("README.md", "docs/integrate.md") for code in page(of).code("python")]

    calls = [call for code in shown for call in _client_calls(ast.parse(code))]

    assert {call.func.attr for call in calls if isinstance(call.func, ast.Attribute)} >= {
        "create_checkout_session",
        "get_session_status",
        "create_portal_session",
        "check_entitlement",
        "entitled",
    }


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "paidup":
            yield from (alias.name for alias in node.names)


def _client_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_of_client(node.func):
            yield node


def _is_of_client(called: ast.expr) -> bool:
    owner = called.value if isinstance(called, ast.Attribute) else None
    return isinstance(owner, ast.Name) and owner.id == "client"


def _fits(call: ast.Call) -> bool:
    assert isinstance(call.func, ast.Attribute)
    method = getattr(paidup.BillingClient, call.func.attr, None)
    if method is None:
        return False
    positional = [object() for _ in call.args]
    named = {each.arg: object() for each in call.keywords if each.arg}
    try:
        inspect.signature(method).bind(object(), *positional, **named)
    except TypeError:
        return False
    return True
