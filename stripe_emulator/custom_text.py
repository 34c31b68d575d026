"""A merchant's own words on the payment page: plain text with links and bold, as Stripe has it."""

import re

from markupsafe import Markup

_MARKUP = re.compile(r"\[([^\]\n]+)\]\((https?://[^\s()]+)\)|\*\*([^*\n]+)\*\*")


def html(text: str) -> Markup:
    """Escape everything but `[links](https://…)` and `**bold**`."""
    result, done = Markup(), 0
    for found in _MARKUP.finditer(text):
        result += text[done : found.start()]
        result += _element(found)
        done = found.end()
    return result + text[done:]


def _element(found: re.Match[str]) -> Markup:
    label, address, bold = found.groups()
    if bold is not None:
        return Markup("<strong>{}</strong>").format(bold)
    link = Markup('<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>')
    return link.format(address, label)
