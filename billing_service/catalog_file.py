"""What is sold, as an operator writes it: a file in TOML."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

LookupKey = Annotated[str, Field(min_length=1, max_length=80, pattern=r"^[\w.:-]+$")]
Name = Annotated[str, Field(min_length=1, max_length=80)]


class CatalogInvalid(Exception):
    """The file is not a catalog; one line a problem."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FeatureEntry(_Entry):
    """Something that a product gives, asked for by its lookup key."""

    lookup_key: LookupKey
    name: Name


class PriceEntry(_Entry):
    """What a product costs; without an interval it is billed once."""

    lookup_key: LookupKey
    #: ISO 4217, in lower case as Stripe has it.
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")]
    #: In the currency's minor unit.
    unit_amount: Annotated[int, Field(ge=0, le=99_999_999)]
    interval: Literal["day", "week", "month", "year"] | None = None
    interval_count: Annotated[int, Field(ge=1, le=36)] = 1

    @model_validator(mode="after")
    def _counts_something(self) -> Self:
        if self.interval is None and self.interval_count != 1:
            message = f"price {self.lookup_key} has an interval_count and no interval"
            raise ValueError(message)
        return self


class ProductEntry(_Entry):
    """Something that is sold."""

    #: Stripe's id of it, chosen here: checks by product can then be written down.
    id: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[\w-]+$")]
    name: Name
    description: Annotated[str, Field(max_length=500)] = ""
    features: tuple[LookupKey, ...] = ()
    price: tuple[PriceEntry, ...] = ()


class CatalogFile(_Entry):
    """The whole file."""

    feature: tuple[FeatureEntry, ...] = ()
    product: tuple[ProductEntry, ...] = ()

    @model_validator(mode="after")
    def _names_are_clear(self) -> Self:
        features = [each.lookup_key for each in self.feature]
        _once("feature", features)
        _once("product", [each.id for each in self.product])
        _once("price", [price.lookup_key for each in self.product for price in each.price])
        for product in self.product:
            _once(f"in product {product.id} feature", list(product.features))
            for missing in sorted(set(product.features) - set(features)):
                message = f"product {product.id} names feature {missing}, which is not in the file"
                raise ValueError(message)
        return self


def _once(kind: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            message = f"{kind} {name} stands there more than once"
            raise ValueError(message)


def read_catalog(path: Path) -> CatalogFile:
    """Read the file; raise `CatalogInvalid` with all that is wrong."""
    try:
        return CatalogFile.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CatalogInvalid(f"{path}: {error}") from error
    except ValidationError as error:
        raise CatalogInvalid("\n".join(_lines(path, error))) from None


def _lines(path: Path, error: ValidationError) -> list[str]:
    return [
        f"{path}: {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors(include_url=False)
    ]
