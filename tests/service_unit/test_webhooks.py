"""`webhooks ensure`: the endpoint at Stripe, and its secret in a file that the gateway follows."""

import asyncio
import os
import stat
import sys

import pytest
import pytest_asyncio
import stripe as sdk

from billing_service import stripe_api, webhook_secrets, webhooks_command
from billing_service.webhook_endpoints import Endpoint, fingerprint, plan
from billing_service.webhook_secrets import SecretsUnreadable
from billing_service.webhooks_command import EndpointNotEnsured, Order
from demo.stack import API_KEY
from subscription_state import deployment
from subscription_state.apply import EVENT_TYPES
from subscription_state.from_stripe import API_VERSION
from tests.gateway.processes import a_process
from tests.service_unit.conftest import webhook_settings_for
from tests.service_unit.scripted_stripe import Answer, listed, refused
from webhook_gateway import signing_secrets

pytestmark = pytest.mark.asyncio(loop_scope="session")

URL = "http://127.0.0.1:9/webhooks/stripe"
OLD_SECRET = "whsec_old"
MODE = 0o600


@pytest_asyncio.fixture(loop_scope="session")
async def at_stripe(emulator):
    """The official SDK, looking at Stripe past our service."""
    http = sdk.AIOHTTPClient()
    yield sdk.StripeClient(API_KEY, base_addresses={"api": emulator.url}, http_client=http)
    await http.close_async()


@pytest_asyncio.fixture(loop_scope="session")
async def endpoints(at_stripe):
    """Stripe's endpoints; those of a test are gone after it."""
    service = at_stripe.v1.webhook_endpoints
    yield service
    for each in (await service.list_async()).data:
        await service.delete_async(each.id)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "secrets"


@pytest.fixture
def ensured(capsys, monkeypatch, database_url, emulator, file):
    """Run it; give what it printed."""
    monkeypatch.setattr(stripe_api, "NETWORK_RETRIES", 0)

    async def ensure(url=URL, *, at=emulator.url, **asked):
        order = {
            "url": url,
            "secret_file": file,
            "replace": False,
            "dry_run": False,
            "wait_seconds": 0,
        }
        given = webhook_settings_for(at, database_url)
        try:
            await webhooks_command.ensure(given, Order(**order | asked))
        finally:
            out = capsys.readouterr().out
            assert "whsec_" not in out
        return out

    return ensure


async def _all(endpoints):
    return {each.id: each for each in (await endpoints.list_async()).data}


async def test_an_endpoint_is_made_and_its_secret_kept(ensured, endpoints, file):
    out = await ensured()

    [made] = (await _all(endpoints)).values()
    assert (made.url, made.api_version, made.status) == (URL, API_VERSION, "enabled")
    assert set(made.enabled_events) == EVENT_TYPES
    [secret] = signing_secrets.parse(file.read_text())
    assert made.metadata["paidup_secret"] == fingerprint(secret.decode())
    assert stat.S_IMODE(file.stat().st_mode) == MODE
    assert f"{made.id} is as it has to be" in out


async def test_repeating_it_changes_nothing(ensured, endpoints, file):
    await ensured()
    before, kept = await _all(endpoints), file.read_text()

    out = await ensured()

    assert "Nothing to change" in out
    assert await _all(endpoints) == before
    assert file.read_text() == kept


async def test_a_dry_run_says_all_and_changes_nothing(ensured, endpoints, file):
    out = await ensured(dry_run=True)

    assert "will create an endpoint" in out
    assert await _all(endpoints) == {}
    assert not file.exists()


async def test_an_endpoint_is_mended(ensured, endpoints, file):
    await ensured()
    [made] = await _all(endpoints)
    await endpoints.update_async(made, {"disabled": True, "enabled_events": ["invoice.paid"]})

    out = await ensured()

    [mended] = (await _all(endpoints)).values()
    assert mended.status == "enabled"
    assert set(mended.enabled_events) == EVENT_TYPES
    assert f"will change enabled_events, disabled of {made}" in out


async def test_endpoints_of_other_urls_are_left_alone(ensured, endpoints):
    other = await endpoints.create_async({"url": f"{URL}2", "enabled_events": ["invoice.paid"]})

    await ensured()

    assert (await _all(endpoints))[other.id] == await endpoints.retrieve_async(other.id)
    assert len(await _all(endpoints)) == 2


async def test_without_a_file_nothing_is_made(ensured, endpoints):
    with pytest.raises(EndpointNotEnsured, match="--secret-file"):
        await ensured(secret_file=None)

    assert await _all(endpoints) == {}


async def test_a_file_that_cannot_be_written_is_found_out_before(ensured, script, tmp_path):
    script.on("GET", "/v1/webhook_endpoints", listed())

    with pytest.raises(SecretsUnreadable, match="cannot be written"):
        await ensured(at=script.url, secret_file=tmp_path / "nowhere" / "secrets")

    assert script.paths("POST") == []


async def test_a_file_of_something_else_is_left_alone(ensured, endpoints, file):
    file.write_text("hunter2")

    with pytest.raises(SecretsUnreadable) as told:
        await ensured()

    assert "hunter2" not in str(told.value)
    assert file.read_text() == "hunter2"
    assert await _all(endpoints) == {}


async def test_an_endpoint_whose_secret_could_not_be_kept_is_gone_again(
    ensured, endpoints, file, monkeypatch
):
    def fail(*_arguments):
        raise SecretsUnreadable(f"{file}: cannot be written (No space left on device)")

    monkeypatch.setattr(webhook_secrets, "add", fail)

    with pytest.raises(SecretsUnreadable):
        await ensured()

    assert await _all(endpoints) == {}


async def test_what_a_run_left_that_did_not_end_is_deleted(ensured, endpoints, file):
    left = await endpoints.create_async(
        {
            "url": URL,
            "enabled_events": ["*"],
            "api_version": API_VERSION,
            "metadata": {"paidup_secret": "unsaved"},
        }
    )

    out = await ensured()

    assert f"will delete {left.id}" in out
    [made] = await _all(endpoints)
    assert made != left.id
    assert len(webhook_secrets.read(file)) == 1


async def test_a_secret_that_the_file_lacks_is_told(ensured, endpoints, file):
    await ensured()
    file.unlink()

    with pytest.raises(EndpointNotEnsured, match="--replace"):
        await ensured()

    assert len(await _all(endpoints)) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "--url"),
        ("http://billing.example.com/webhooks/stripe", "https"),
        ("ftp://x", "https"),
    ],
)
async def test_a_url_that_stripe_could_not_use_is_refused(ensured, endpoints, url, says):
    with pytest.raises(EndpointNotEnsured, match=says):
        await ensured(url)

    assert await _all(endpoints) == {}


@pytest_asyncio.fixture(loop_scope="session")
async def gateway(database, database_url, tmp_path, file, emulator):
    """Run a gateway that follows the file, which holds another secret at first."""
    await database.write(lambda connection: deployment.bind(connection, livemode=False))
    file.write_text(f"{OLD_SECRET}\n")
    settings = {"DATABASE_URL": database_url, "WEBHOOK_SECRETS": ""}
    with a_process(tmp_path, **settings, WEBHOOK_SECRETS_FILE=str(file)) as process:
        yield f"{await process.url()}/webhooks/stripe"


async def _delivered(emulator, endpoint_id):
    await emulator.drain()
    deliveries = (await emulator.deliveries())["deliveries"]
    ours = [each for each in deliveries if each["endpoint"] == endpoint_id]
    return [each["attempts"][-1]["status"] for each in ours]


async def test_the_gateway_takes_what_the_new_endpoint_sends(
    ensured, at_stripe, gateway, emulator, file
):
    await ensured(gateway)
    [made] = await _all(at_stripe.v1.webhook_endpoints)
    await at_stripe.v1.customers.create_async({})

    assert await _delivered(emulator, made) == [200]
    await at_stripe.v1.webhook_endpoints.delete_async(made)
    assert webhook_secrets.read(file)[1:] == (OLD_SECRET,)


async def test_an_endpoint_is_replaced_and_nothing_is_lost(ensured, endpoints, gateway, file):
    await ensured(gateway)
    [first] = await _all(endpoints)

    out = await ensured(gateway, replace=True, wait_seconds=20)

    states = {key: each.status for key, each in (await _all(endpoints)).items()}
    [second] = states.keys() - {first}
    assert states == {first: "disabled", second: "enabled"}
    assert f"disable {first} once the other works" in out
    assert len(webhook_secrets.read(file)) == 3
    assert "Nothing to change" in await ensured(gateway)


async def test_the_old_endpoint_stays_until_the_gateway_takes_the_new_ones_events(
    ensured, endpoints, file
):
    await ensured()
    [first] = await _all(endpoints)

    with pytest.raises(EndpointNotEnsured, match=f"{first} still sends"):
        await ensured(replace=True)

    assert {each.status for each in (await _all(endpoints)).values()} == {"enabled"}
    with pytest.raises(EndpointNotEnsured, match=f"{first} still sends"):
        await ensured()


async def test_an_endpoint_that_others_made_is_not_trusted_to_work(ensured, endpoints, file):
    """Which of the secrets it signs with cannot be known, so the other one goes on sending."""
    wanted = {"url": URL, "enabled_events": ["*"], "api_version": API_VERSION}
    made = [await endpoints.create_async(wanted) for _ in range(2)]
    file.write_text(OLD_SECRET)

    with pytest.raises(EndpointNotEnsured, match="not known here"):
        await ensured()

    assert {each.id for each in made} == set(await _all(endpoints))
    assert {each.status for each in (await _all(endpoints)).values()} == {"enabled"}


async def test_an_endpoint_of_another_version_gets_one_beside_it(ensured, script, file):
    old = {"id": "we_old", "url": URL, "status": "enabled", "api_version": "2020-08-27"}
    new = {"id": "we_new", "url": URL, "status": "enabled", "api_version": API_VERSION}
    script.on("GET", "/v1/webhook_endpoints", listed(old))
    script.on("POST", "/v1/webhook_endpoints", Answer({**new, "secret": "whsec_new"}))
    known = {"metadata": {"paidup_secret": fingerprint("whsec_new")}}
    script.on("POST", "/v1/webhook_endpoints/we_new", Answer(new | known))

    with pytest.raises(EndpointNotEnsured, match="we_old still sends beside we_new"):
        await ensured(at=script.url)

    create, marked = [call.params for call in script.calls if call.method == "POST"]
    assert create["api_version"] == API_VERSION
    assert create["metadata[paidup_secret]"] == "unsaved"
    assert marked == {"metadata[paidup_secret]": fingerprint("whsec_new")}
    assert webhook_secrets.read(file) == ("whsec_new",)


async def test_a_key_that_may_not_is_refused_and_the_file_left_alone(ensured, script, file):
    script.on("GET", "/v1/webhook_endpoints", listed())
    script.on("POST", "/v1/webhook_endpoints", refused(403))

    with pytest.raises(Exception, match="Stripe"):
        await ensured(at=script.url)

    assert not file.exists()


@pytest.fixture
def shown(capsys, monkeypatch, database_url, emulator):
    """List the endpoints; give what was printed."""
    monkeypatch.setenv("COLUMNS", "250")

    async def show():
        await webhooks_command.show(webhook_settings_for(emulator.url, database_url))
        return capsys.readouterr().out

    return show


async def test_what_is_there_is_listed_with_what_it_lacks(
    ensured, shown, endpoints, monkeypatch, file
):
    await ensured()
    monkeypatch.setenv("PAIDUP_WEBHOOK_SECRETS_FILE", str(file))
    await endpoints.create_async({"url": f"{URL}2", "enabled_events": ["charge.failed"]})

    out = await shown()

    assert "0 missing, 0 superfluous" in out
    assert f"{len(EVENT_TYPES)} missing, 1 superfluous" in out
    assert out.count("not known here") == 1
    assert "whsec_" not in out


def _endpoint(endpoint_id, **overrides):
    values = {
        "url": URL,
        "api_version": API_VERSION,
        "enabled": True,
        "events": EVENT_TYPES,
        "secret": "0123456789abcdef",
    }
    return Endpoint(endpoint_id=endpoint_id, **values | overrides)


async def test_of_several_the_newest_that_sends_is_kept():
    off, new, old = _endpoint("we_3", enabled=False), _endpoint("we_2"), _endpoint("we_1")

    todo = plan([off, new, old], URL, replace=False)

    assert (todo.keep, todo.mend, todo.retire) == (new, {}, (old,))


async def test_one_that_only_sends_everything_is_told_what_to_send():
    todo = plan([_endpoint("we_1", events=frozenset({"*"}))], URL, replace=False)

    assert todo.mend == {"enabled_events": sorted(EVENT_TYPES)}


async def test_the_file_is_replaced_as_a_whole_or_not_at_all(file, monkeypatch):
    webhook_secrets.add(file, OLD_SECRET)

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SecretsUnreadable, match="No space left") as told:
        webhook_secrets.add(file, "whsec_new")

    assert "whsec_" not in str(told.value)
    assert webhook_secrets.read(file) == (OLD_SECRET,)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


async def test_a_reader_never_sees_half_a_file(file):
    """Whoever opened the old file goes on reading the old one, whole."""
    webhook_secrets.add(file, OLD_SECRET)
    with file.open() as opened:
        webhook_secrets.add(file, "whsec_new")

        assert opened.read() == f"{OLD_SECRET}\n"
    assert webhook_secrets.read(file) == ("whsec_new", OLD_SECRET)


async def test_a_file_that_others_may_read_no_longer_is(file):
    file.write_text(f"{OLD_SECRET}\n")
    file.chmod(0o644)

    webhook_secrets.add(file, "whsec_new")

    assert stat.S_IMODE(file.stat().st_mode) == MODE


async def test_a_link_leads_on_to_the_file(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)

    webhook_secrets.add(link, OLD_SECRET)

    assert link.is_symlink()
    assert webhook_secrets.read(file) == (OLD_SECRET,)


@pytest.mark.parametrize("text", ["whsec_a,whsec_b", " whsec_a\n\nwhsec_b\n", "whsec_a whsec_a"])
async def test_secrets_are_read_as_the_gateway_reads_them(text):
    assert [each.encode() for each in webhook_secrets.parse(text)] == list(
        signing_secrets.parse(text)
    )


async def test_secrets_are_those_of_the_variable_before_those_of_the_file(file):
    file.write_text("whsec_file")
    name = "PAIDUP_WEBHOOK_SECRETS"

    assert webhook_secrets.configured({}) == ()
    assert webhook_secrets.configured({f"{name}_FILE": str(file)}) == ("whsec_file",)
    assert webhook_secrets.configured({name: "whsec_a", f"{name}_FILE": str(file)}) == ("whsec_a",)


async def test_the_command_tells_a_failure_without_a_traceback(emulator, tmp_path):
    settings = {
        "PAIDUP_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path / 'none.db'}",
        "PAIDUP_STRIPE_API_KEY": API_KEY,
        "PAIDUP_STRIPE_PUBLISHABLE_KEY": "pk_test_not_a_real_key",
        "PAIDUP_STRIPE_API_BASE": emulator.url,
    }
    process = await asyncio.create_subprocess_exec(
        *[sys.executable, "-m", "billing_service", "webhooks", "ensure", "--url", URL],
        env={**os.environ, **settings},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()

    assert process.returncode == 1
    assert b"--secret-file" in err
    assert b"Traceback" not in err
