"""The page of the command line, held to the command."""

import re
import shlex

import pytest
from typer.main import get_command

from paidup.cli.app import app
from paidup.v1 import admin_service_pb2 as admin
from paidup.v1 import billing_service_pb2 as billing
from tests.docs.pages import page

PAGE = page("docs/cli.md")
PAIDUP = get_command(app)
COMMANDS = vars(PAIDUP)["commands"]
EXAMPLES = re.findall(
    r"^(?:\$ )?paidup ([a-z].*)$",
    "\n".join([*PAGE.code("console"), *page("clients/python/README.md").code("sh")]),
    re.MULTILINE,
)


def test_every_command_is_in_the_table_with_its_rpc() -> None:
    rows = dict(re.findall(r"^\| \[`(\w+)`\]\(#.*\| `(\w+)` \|$", PAGE.text, re.MULTILINE))

    rpcs = {
        method.name
        for file, service in ((billing, "BillingService"), (admin, "AdminService"))
        for method in file.DESCRIPTOR.services_by_name[service].methods
    }
    assert list(rows) == list(COMMANDS)
    assert set(rows.values()) <= rpcs
    # What is left is for programs alone.
    assert rpcs - set(rows.values()) == {"BatchCheckEntitlements", "GetSessionStatus"}


def test_every_command_has_an_example() -> None:
    assert {example.split()[0] for example in EXAMPLES} == set(COMMANDS)


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_a_command(example: str) -> None:
    name, *arguments = shlex.split(example.partition(" && ")[0])

    context = COMMANDS[name].make_context(name, arguments)

    assert context.params


def test_every_option_that_all_commands_have_is_told_with_its_variable() -> None:
    table = PAGE.section("## Options of every command")
    shared = set.intersection(*({each.name for each in c.params} for c in COMMANDS.values()))
    options = [each for each in COMMANDS["check"].params if each.name in shared - {"account"}]

    names = {name for each in options for name in (*each.opts, *each.secondary_opts)}
    variables = {each.envvar for each in options if each.envvar}
    assert names - {"--help", "-h"} <= set(re.findall(r"--[a-z-]+", table))
    assert variables | {"PAIDUP_TOKEN"} == set(re.findall(r"PAIDUP_[A-Z_]+", table))


def test_no_secret_is_shown() -> None:
    assert "_secret_" not in PAGE.text
