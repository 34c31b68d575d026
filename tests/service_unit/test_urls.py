import pytest

from billing_service.urls import AllowedOrigins, origin_of

ORIGINS = [
    "https://app.example.com",
    "https://other.example.com:8443",
    "https://b\u00fccher.example",
]


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com",
        "https://app.example.com/return?session_id={CHECKOUT_SESSION_ID}#x",
        "HTTPS://APP.Example.COM/",
        "https://app.example.com:443/",
        "https://app.example.com:/",
        "https://other.example.com:8443/a",
        "https://app.example.com/@evil.example",
        "https://app.example.com?@evil.example",
    ],
)
@pytest.mark.parametrize("livemode", [True, False])
def test_a_url_of_an_allowed_origin_is_allowed(url, livemode):
    assert AllowedOrigins(ORIGINS, livemode=livemode).allow(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/return",
        "//app.example.com/",
        "app.example.com",
        "https:app.example.com",
        "https:///app.example.com",
        "https://",
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://evil-app.example.com",
        "https://app.example.com.",
        "https://app.example.com:8443",
        "https://app.example.com:0",
        "https://app.example.com:99999",
        "https://app.example.com:x",
        "https://other.example.com",
        "http://app.example.com",
        "https://app.example.com@evil.example",
        "https://evil.example@app.example.com",
        "https://app.example.com:443@evil.example",
        "https://app.example.com%40evil.example",
        "https://app.example.com\\@evil.example",
        "https:\\\\app.example.com",
        "https://app.example.com\t.evil.example",
        "https://app.example.com\n",
        " https://app.example.com",
        "https://app.example.com\x7f",
        "https://app\u3002example\u3002com",
        "https://\uff41pp.example.com",
        "https://xn--bcher-kva.example",
        "https://[app.example.com]",
        "https://evil.example[app.example.com]",
        "https://[::1]app.example.com",
        "https://[::1",
        "javascript://app.example.com:443/%0aalert(1)",
        "javascript:alert(1)",
        "ftp://app.example.com:443",
        "wss://app.example.com:443",
        "data:text/html,x",
    ],
)
@pytest.mark.parametrize("livemode", [True, False])
def test_any_other_url_is_refused(url, livemode):
    assert not AllowedOrigins(ORIGINS, livemode=livemode).allow(url)


LOOPBACK = [
    "http://localhost:4242/a",
    "http://127.0.0.1",
    "https://[::1]:8443/",
    "http://LOCALHOST",
]


@pytest.mark.parametrize("url", LOOPBACK)
def test_loopback_is_allowed_in_test_mode(url):
    assert AllowedOrigins([], livemode=False).allow(url)


@pytest.mark.parametrize("url", LOOPBACK)
def test_loopback_is_refused_in_live_mode_even_where_it_is_listed(url):
    assert not AllowedOrigins(["http://localhost:4242"], livemode=True).allow(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost.evil.example",
        "http://localhost.",
        "http://localhost@evil.example",
        "http://127.0.0.1.evil.example",
        "http://evil.example[::1]",
        "http://[::1].evil.example",
        "http://[::1%25eth0]",
        "http://localhost:0",
        "javascript://localhost:80/%0aalert(1)",
        "ftp://localhost:21/",
    ],
)
def test_what_only_looks_like_loopback_is_refused(url):
    assert not AllowedOrigins([], livemode=False).allow(url)


def test_an_origin_is_scheme_host_and_port():
    assert origin_of("https://App.example.com/a?b#c") == ("https", "app.example.com", 443)
    assert origin_of("http://[::1]:80") == ("http", "::1", 80)
