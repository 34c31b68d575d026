"""What browsers are told about every page."""

from urllib.parse import urlsplit

from aiohttp import web

from storefront import shop

#: As Stripe asks for: https://docs.stripe.com/security/guide#content-security-policy
STRIPE = {
    "script-src": "https://js.stripe.com https://*.js.stripe.com https://checkout.stripe.com",
    "connect-src": "https://api.stripe.com https://checkout.stripe.com",
    "frame-src": (
        "https://js.stripe.com https://*.js.stripe.com https://hooks.stripe.com "
        "https://checkout.stripe.com"
    ),
    "img-src": "https://*.stripe.com",
    # Browsers hold where a form's answer leads to `form-action` too: the portal.
    "form-action": "https://billing.stripe.com",
}
STRIPE_ORIGIN = "https://js.stripe.com"


def policy(stripe_js: str) -> str:
    """Admit our own files, and Stripe's or whatever stands in for it; no inline script."""
    parts = urlsplit(stripe_js)
    origin = f"{parts.scheme}://{parts.netloc}"
    foreign = STRIPE if origin == STRIPE_ORIGIN else dict.fromkeys(STRIPE, origin)
    allowed = [f"{directive} 'self' {origins}" for directive, origins in foreign.items()]
    rest = ("style-src 'self'", "base-uri 'none'", "frame-ancestors 'none'")
    return "; ".join(("default-src 'none'", *allowed, *rest))


async def add(request: web.Request, response: web.StreamResponse) -> None:
    our = shop.of(request)
    # Files of ours may be kept, if they are asked after; pages are somebody's own.
    kept = "no-cache" if request.path.startswith("/static/") else "no-store"
    response.headers["Cache-Control"] = kept
    response.headers["Content-Security-Policy"] = policy(our.settings.stripe_js)
    response.headers["X-Content-Type-Options"] = "nosniff"
    # Others learn which shop somebody comes from, and never which session.
    response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    if our.public_url.startswith("https://"):
        response.headers["Strict-Transport-Security"] = "max-age=31536000"
