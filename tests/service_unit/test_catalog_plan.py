"""`catalog apply` against the emulator: what it changes, and that it comes to an end."""

import pytest
import pytest_asyncio

from billing_service.catalog_commands import apply
from billing_service.catalog_file import CatalogFile
from billing_service.catalog_plan import plan, read_stripe
from subscription_state import catalog, deployment
from subscription_state.database import Database
from subscription_state.errors import WrongDeployment
from tests.service_unit.conftest import settings_for

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(loop_scope="session")
async def at_stripe(emulator, at_emulator):
    return at_emulator


def a_catalog(name: str, *, amount: int = 500, product: str = "", **price) -> CatalogFile:
    """Make a catalog of one product, whose names are all its own."""
    prices = [{"lookup_key": name, "currency": "usd", "unit_amount": amount, **price}]
    described = {"id": product or f"prod_{name}", "name": name, "features": [name], "price": prices}
    feature = {"lookup_key": name, "name": name}
    return CatalogFile.model_validate({"feature": [feature], "product": [described]})


async def _carry_out(stripe, wanted, *, at_most: int | None = None) -> list[str]:
    present = await read_stripe(stripe)
    changes = plan(wanted, present)
    for change in changes[:at_most]:
        await change.carry_out(stripe, present)
    return [change.description for change in changes]


async def test_all_that_stripe_lacks_is_made(at_stripe):
    made = await _carry_out(at_stripe, a_catalog("new", interval="month"))

    assert made == [
        "create feature new",
        "create product prod_new (new)",
        "give feature new with product prod_new",
        "create price new: 500 USD (minor units) every 1 month",
    ]


@pytest.mark.parametrize(
    "price", [{"interval": "month"}, {"interval": "month", "interval_count": 3}, {}]
)
async def test_repeating_it_changes_nothing(at_stripe, price):
    wanted = a_catalog(f"again{len(price)}", **price)
    await _carry_out(at_stripe, wanted)

    assert await _carry_out(at_stripe, wanted) == []


@pytest.mark.parametrize("done", [0, 1, 2, 3])
async def test_what_broke_off_is_finished_by_repeating_it(at_stripe, done):
    wanted = a_catalog(f"broken{done}", interval="month")
    await _carry_out(at_stripe, wanted, at_most=done)

    finished = await _carry_out(at_stripe, wanted)

    assert len(finished) == 4 - done
    assert await _carry_out(at_stripe, wanted) == []


async def test_a_price_that_differs_is_replaced_and_the_old_one_archived(at_stripe):
    await _carry_out(at_stripe, a_catalog("dearer", interval="month"))
    old = await at_stripe.price_by_lookup_key("dearer")

    await _carry_out(at_stripe, a_catalog("dearer", interval="month", amount=700))

    new = await at_stripe.price_by_lookup_key("dearer")
    assert new["unit_amount"] == 700
    assert new["id"] != old["id"]
    assert not (await at_stripe.price(old["id"]))["active"]


async def test_an_archived_price_does_not_keep_its_lookup_key(at_stripe):
    wanted = a_catalog("archived", interval="month")
    await _carry_out(at_stripe, wanted)
    old = await at_stripe.price_by_lookup_key("archived")
    await at_stripe.post(at_stripe.v1.prices, "update", old["id"], {"active": False})

    await _carry_out(at_stripe, wanted)

    assert (await at_stripe.price_by_lookup_key("archived"))["active"]
    assert await _carry_out(at_stripe, wanted) == []


async def test_a_price_moves_from_one_product_to_another(at_stripe):
    await _carry_out(at_stripe, a_catalog("moved", interval="month"))

    await _carry_out(at_stripe, a_catalog("moved", interval="month", product="prod_elsewhere"))

    moved = await at_stripe.price_by_lookup_key("moved")
    assert moved["product"] == "prod_elsewhere"


async def test_an_archived_feature_is_made_anew(at_stripe):
    wanted = a_catalog("retired", interval="month")
    await _carry_out(at_stripe, wanted)
    feature = (await read_stripe(at_stripe)).features["retired"]
    features = at_stripe.v1.entitlements.features
    await at_stripe.post(features, "update", feature["id"], {"active": False})

    await _carry_out(at_stripe, wanted)

    assert (await read_stripe(at_stripe)).features["retired"]["id"] != feature["id"]
    assert await _carry_out(at_stripe, wanted) == []


async def test_an_archived_product_is_sold_again(at_stripe):
    wanted = a_catalog("back", interval="month")
    await _carry_out(at_stripe, wanted)
    await at_stripe.post(at_stripe.v1.products, "update", "prod_back", {"active": False})

    assert await _carry_out(at_stripe, wanted) == ["update product prod_back (back)"]
    assert await _carry_out(at_stripe, wanted) == []


async def test_what_is_not_in_the_file_is_left_alone(at_stripe):
    await _carry_out(at_stripe, a_catalog("mine", interval="month"))

    assert await _carry_out(at_stripe, CatalogFile()) == []
    assert await at_stripe.price_by_lookup_key("mine")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "catalog.toml"
    path.write_text('[[feature]]\nlookup_key = "applied"\nname = "Applied"\n')
    return path


async def test_applying_it_lets_checks_see_it_at_once(sold, database_url, database, file):
    assert await apply(settings_for(sold.url, database_url), file, ask=False)
    await database.write(lambda connection: catalog.want_read(connection, 10**9))
    file.write_text('[[product]]\nid = "prod_applied"\nname = "Applied"\n')

    assert await apply(settings_for(sold.url, database_url), file, ask=False)

    async with database.read() as connection:
        assert "prod_applied" in await catalog.load(connection)


async def test_another_deployments_database_keeps_its_catalogue(sold, database_url, file):
    database = Database.at(database_url)
    await database.write(
        lambda connection: deployment.bind(
            connection, livemode=False, stripe_account_id="acct_another"
        )
    )
    file.write_text('[[product]]\nid = "prod_foreign"\nname = "Foreign"\n')

    with pytest.raises(WrongDeployment):
        await apply(settings_for(sold.url, database_url), file, ask=False)

    async with database.read() as connection:
        assert await catalog.load(connection) == {}
    await database.close()


async def test_a_database_that_was_never_migrated_is_no_failure(sold, tmp_path, file, capsys):
    file.write_text('[[product]]\nid = "prod_unmigrated"\nname = "Unmigrated"\n')
    url = f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"

    assert await apply(settings_for(sold.url, url), file, ask=False)

    assert "will read the catalogue itself" in " ".join(capsys.readouterr().out.split())
