"""Amounts as people read them; everything else here counts in minor units."""

from decimal import Decimal

#: Currencies without a minor unit.
WHOLE = frozenset(
    "bif clp djf gnf jpy kmf krw mga pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905 -- reads better than a list
)
SYMBOLS = {"aud": "A$", "cad": "CA$", "eur": "€", "gbp": "£", "jpy": "¥", "nzd": "NZ$", "usd": "$"}
NO_BREAK_SPACE = "\u00a0"


def shown(amount: int, currency: str, language: str = "en") -> str:
    """Give `$5.00`, or in French `5,00 $`."""
    digits = 0 if currency in WHOLE else 2
    number = f"{abs(Decimal(amount)).scaleb(-digits):,.{digits}f}"
    sign = "-" if amount < 0 else ""
    symbol = SYMBOLS.get(currency, currency.upper())
    if language == "fr":
        number = number.replace(",", "\u202f").replace(".", ",")
        return f"{sign}{number}{NO_BREAK_SPACE}{symbol}"
    gap = NO_BREAK_SPACE if symbol.isalpha() else ""
    return f"{sign}{symbol}{gap}{number}"
