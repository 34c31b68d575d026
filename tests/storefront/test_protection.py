"""What strangers, other sites and forgers meet."""

from collections.abc import Callable

import pytest

from demo.stack import Stack
from storefront import headers, sessions
from storefront.settings import STRIPE_JS
from tests.storefront.visitor import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")

SECRET = "made-up-secret-of-more-than-thirty-two-characters"
PUBLIC = "https://shop.example.com"


@pytest.mark.parametrize("path", ["/", "/sign-in", "/nowhere", "/static/follow.js", "/healthz"])
async def test_every_answer_carries_the_headers(stranger: Visitor, stack: Stack, path: str) -> None:
    answer = await stranger.get(path)

    assert answer.headers["Content-Security-Policy"] == (
        "default-src 'none'; "
        f"script-src 'self' {stack.emulator.url}; connect-src 'self' {stack.emulator.url}; "
        f"frame-src 'self' {stack.emulator.url}; img-src 'self' {stack.emulator.url}; "
        f"form-action 'self' {stack.emulator.url}; "
        "style-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}


async def test_with_stripe_itself_its_origins_are_admitted_and_no_others() -> None:
    policy = headers.policy(STRIPE_JS)

    foreign = {word for word in policy.replace(";", "").split() if word.startswith("http")}
    assert "https://js.stripe.com" in foreign
    assert "https://billing.stripe.com" in policy.partition("form-action")[2].partition(";")[0]
    assert {origin for origin in foreign if not origin.endswith("stripe.com")} == set()
    assert "unsafe" not in policy


async def test_no_page_has_a_script_or_style_in_it(visitor: Visitor) -> None:
    for path in ("/", "/account", "/subscribe?price=basic_monthly", "/features/reports"):
        text = (await visitor.get(path)).text
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        assert all("src=" in tag for tag in text.split("<script")[1:])


async def test_on_loopback_the_cookie_is_kept_from_scripts_and_other_sites(
    stranger: Visitor,
) -> None:
    cookie = (await stranger.get("/")).headers["Set-Cookie"]

    assert cookie.startswith("storefront=")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie


async def test_over_https_the_cookie_is_bound_to_https_and_to_the_host(
    stack: Stack, visitors: Callable[..., Visitor]
) -> None:
    process = await stack.start_storefront(
        "127.0.0.1:0",
        STOREFRONT_PUBLIC_URL=PUBLIC,
        STOREFRONT_SECRET=SECRET,
        STOREFRONT_MADE_UP_USERS="yes",
    )

    answer = await visitors(f"http://{process.address}").get("/")

    cookie = answer.headers["Set-Cookie"]
    assert cookie.startswith("__Host-storefront=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    await process.stop()


async def test_a_form_without_its_token_is_refused(stranger: Visitor) -> None:
    answer = await stranger.send("/sign-in", {"email": stranger.email, "csrf_token": ""})

    assert (answer.status, answer.heading) == (403, "This page is too old")
    assert (await stranger.get("/account")).status == 303


async def test_a_token_of_somebody_elses_is_refused(
    visitor: Visitor, visitors: Callable[..., Visitor]
) -> None:
    other = visitors()
    await other.sign_in()

    answer = await visitor.send("/sign-out", {"csrf_token": await other.token()})

    assert answer.status == 403
    assert (await visitor.get("/account")).status == 200


@pytest.mark.parametrize(
    "header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_what_a_browser_sends_for_another_site_is_refused(
    visitor: Visitor, header: dict[str, str]
) -> None:
    form = await visitor.send("/create-portal-session", {"flow": ""}, **header)
    json = await visitor.post("/create-checkout-session", {"price": "basic_monthly"}, **header)

    assert (form.status, json.status) == (403, 403)
    assert "error" in json.json


async def test_a_token_in_json_or_text_is_none(visitor: Visitor) -> None:
    body = f"csrf_token={await visitor.token()}".encode()
    answer = await visitor.post(
        "/sign-out", body, **{"X-CSRF-Token": "", "Content-Type": "text/plain"}
    )

    assert answer.status == 403


async def test_a_cookie_that_was_changed_signs_nobody_in(
    visitor: Visitor, visitors: Callable[..., Visitor]
) -> None:
    session = sessions.begin(account_id="user_root", email="root@example.com")
    other = visitors()

    for cookie in (
        sessions.write(session, SECRET),
        "e30=.",
        "x",
        "." * 5000,
        "ü.ü".encode().decode("latin-1"),
    ):
        answer = await other.get("/account", Cookie=f"storefront={cookie}")
        assert answer.status == 303


async def test_a_session_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    session = sessions.begin(account_id="user_a", email="a@example.com")
    cookie = sessions.write(session, SECRET)
    assert sessions.read(cookie, SECRET) == session

    monkeypatch.setattr("storefront.sessions.LIFETIME", 0)

    assert sessions.read(cookie, SECRET) is None


async def test_signing_in_and_out_makes_every_older_token_void(visitor: Visitor) -> None:
    before = await visitor.token()
    await visitor.send("/sign-out", {})

    answer = await visitor.send("/sign-in", {"email": visitor.email, "csrf_token": before})

    assert answer.status == 403


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("/subscribe?price=basic_monthly", "/subscribe?price=basic_monthly"),
        ("//evil.example", "/account"),
        ("/\\evil.example", "/account"),
        ("https://evil.example/", "/account"),
        ("/x\r\nSet-Cookie: a=b", "/account"),
        ("", "/account"),
        ("/" + "a" * 400, "/account"),
    ],
)
async def test_signing_in_leads_to_our_own_pages_only(
    stranger: Visitor, wanted: str, found: str
) -> None:
    answer = await stranger.sign_in(next=wanted)

    assert (answer.status, answer.headers["Location"]) == (303, found)


@pytest.mark.parametrize("email", ["", "ada", "a@b", "a b@c.de", "a@b.c" + "d" * 260, "<a>@b.c"])
async def test_what_is_no_address_is_refused_at_its_field(stranger: Visitor, email: str) -> None:
    answer = await stranger.sign_in(email=email)

    assert answer.status == 422
    assert 'aria-invalid="true"' in answer.text


async def test_on_loopback_there_is_one_name(stranger: Visitor) -> None:
    port = stranger.url.rpartition(":")[2]

    read = await stranger.get("/account?x=1", Host=f"localhost:{port}")
    written = await stranger.send("/sign-out", {}, Host="evil.example")

    assert (read.status, read.headers["Location"]) == (307, f"{stranger.url}/account?x=1")
    assert written.status == 421


async def test_bodies_have_a_limit(visitor: Visitor) -> None:
    answer = await visitor.post("/create-checkout-session", b"x" * 20_000)
    form = await visitor.send("/create-portal-session", {"flow": "x" * 20_000})

    assert (answer.status, form.status) == (413, 413)
