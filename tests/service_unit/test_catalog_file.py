import pytest

from billing_service.catalog_file import CatalogInvalid, read_catalog
from demo.stack import CATALOG

GOOD = """
[[feature]]
lookup_key = "reports"
name = "Reports"

[[product]]
id = "prod_basic"
name = "Basic"
features = ["reports"]

[[product.price]]
lookup_key = "basic_monthly"
currency = "usd"
unit_amount = 500
interval = "month"
"""


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        path = tmp_path / "catalog.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_catalog(path)

    return write_and_read


def test_a_catalog_is_read(read):
    catalog = read(GOOD)

    assert catalog.product[0].price[0].unit_amount == 500
    assert catalog.product[0].features == ("reports",)


def test_the_catalog_of_the_demonstration_is_one():
    assert {product.id for product in read_catalog(CATALOG).product} >= {"prod_basic"}


def test_an_empty_file_sells_nothing(read):
    assert read("").product == ()


def test_a_name_may_be_in_any_script(read):
    assert read(GOOD.replace("Basic", "基本")).product[0].name == "基本"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"usd"', '"USD"', "currency"),
        ('"usd"', '"dollar"', "currency"),
        ("500", "-1", "unit_amount"),
        ("500", "4.99", "unit_amount"),
        ("500", "100_000_000", "unit_amount"),
        ('"month"', '"fortnight"', "interval"),
        ('interval = "month"', "interval_count = 3", "no interval"),
        ('interval = "month"', 'interval = "month"\ninterval_count = 0', "interval_count"),
        ('"basic_monthly"', '"basic monthly"', "lookup_key"),
        ('"prod_basic"', '""', "id"),
        ('"prod_basic"', '"prod basic"', "id"),
        ('["reports"]', '["reports", "exports"]', "exports"),
        ('["reports"]', '["reports", "reports"]', "more than once"),
        ('name = "Basic"', 'title = "Basic"', "title"),
        ('name = "Basic"', f'name = "{"B" * 81}"', "name"),
        ("[[product]]", "[[products]]", "products"),
        ("[[feature]]", "[[feature]", "line"),
    ],
)
def test_what_is_wrong_is_named(read, old, new, problem):
    assert old in GOOD

    with pytest.raises(CatalogInvalid) as invalid:
        read(GOOD.replace(old, new, 1))

    assert problem in str(invalid.value)
    assert "catalog.toml" in str(invalid.value)


@pytest.mark.parametrize("table", ["[[feature]]", "[[product]]", "[[product.price]]"])
def test_what_stands_there_twice_is_refused(read, table):
    part = GOOD[GOOD.index(table) :].split("\n\n", maxsplit=1)[0]

    with pytest.raises(CatalogInvalid, match="more than once"):
        read(f"{GOOD}\n{part}\n")


def test_what_is_no_text_is_refused(read):
    with pytest.raises(CatalogInvalid):
        read(b"\xff\xfe")


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(CatalogInvalid):
        read_catalog(tmp_path)
