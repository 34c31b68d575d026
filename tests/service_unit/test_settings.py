import pytest

from billing_service.settings import ServiceSettings, split
from subscription_state.settings import SettingsInvalid, load

TEST = {"STRIPE_API_KEY": "sk_test_a1", "STRIPE_PUBLISHABLE_KEY": "pk_test_a1"}
LIVE = {"STRIPE_API_KEY": "sk_live_a1", "STRIPE_PUBLISHABLE_KEY": "pk_live_a1"}


@pytest.fixture
def environment(monkeypatch):
    def set_(variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"PAIDUP_{name}", value)

    return set_


def _problems() -> str:
    with pytest.raises(SettingsInvalid) as invalid:
        load(ServiceSettings)
    return str(invalid.value)


def test_two_keys_are_enough(environment):
    environment(TEST)

    settings = load(ServiceSettings)

    assert settings.grpc_listen == "127.0.0.1:50051"
    assert settings.stripe_api_base == "https://api.stripe.com"
    assert not settings.livemode


def test_everything_that_is_missing_is_named_at_once():
    problems = _problems()

    assert problems.splitlines() == [
        "PAIDUP_STRIPE_API_KEY: is required",
        "PAIDUP_STRIPE_PUBLISHABLE_KEY: is required",
    ]


@pytest.mark.parametrize(
    ("key", "livemode"),
    [
        ("sk_test_a1", False),
        ("rk_test_a1", False),
        ("sk_test_not_live_at_all", False),
        ("sk_live_a1", True),
        ("rk_live_a1", True),
        ("sk_live_test_a1", True),
    ],
)
def test_the_keys_beginning_decides_the_mode(environment, key, livemode):
    mode = "live" if livemode else "test"
    environment({"STRIPE_API_KEY": key, "STRIPE_PUBLISHABLE_KEY": f"pk_{mode}_a1"})

    assert load(ServiceSettings).livemode is livemode


@pytest.mark.parametrize(
    "key", ["pk_test_a1", "whsec_a1", "sk_test_", "sk_test_a1\n", " sk_test_a1"]
)
def test_what_is_no_secret_key_is_refused_without_being_shown(environment, key):
    environment(TEST | {"STRIPE_API_KEY": key})

    problems = _problems()

    assert problems.startswith("PAIDUP_STRIPE_API_KEY: ")
    assert "a1" not in problems


@pytest.mark.parametrize("name", ["GRACE_DAYS", "PENDING_PAYMENT", "GRPC_LISTEN", "DRAIN_SECONDS"])
def test_a_variable_that_is_there_and_empty_is_not_there(environment, name):
    environment(TEST | {name: ""})

    assert load(ServiceSettings).grace_days == 3


def test_an_empty_key_is_a_missing_one(environment):
    environment(TEST | {"STRIPE_API_KEY": ""})

    assert _problems() == "PAIDUP_STRIPE_API_KEY: is required"


def test_an_empty_key_does_not_hide_the_file_with_the_key(environment, tmp_path):
    file = tmp_path / "key"
    file.write_text("sk_test_from_file\n")
    environment(TEST | {"STRIPE_API_KEY": "", "STRIPE_API_KEY_FILE": str(file)})

    assert load(ServiceSettings).stripe_api_key.get_secret_value() == "sk_test_from_file"


def test_a_file_that_is_not_there_is_named_by_its_variable(environment, tmp_path):
    environment(TEST | {"STRIPE_API_KEY": "", "STRIPE_API_KEY_FILE": str(tmp_path / "none")})

    assert _problems().startswith("PAIDUP_STRIPE_API_KEY_FILE: ")


def test_the_key_is_in_no_text_of_the_settings(environment):
    environment(TEST)

    assert "sk_test" not in repr(load(ServiceSettings))


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"STRIPE_PUBLISHABLE_KEY": "pk_live_a1"}, "PAIDUP_STRIPE_PUBLISHABLE_KEY"),
        ({"STRIPE_PUBLISHABLE_KEY": "sk_test_a1"}, "PAIDUP_STRIPE_PUBLISHABLE_KEY"),
        ({"STRIPE_API_BASE": "api.stripe.com"}, "PAIDUP_STRIPE_API_BASE"),
        ({"GRPC_LISTEN": "50051"}, "PAIDUP_GRPC_LISTEN"),
        ({"GRPC_LISTEN": "127.0.0.1:99999"}, "PAIDUP_GRPC_LISTEN"),
        ({"GRPC_LISTEN": "0.0.0.0:50051"}, "PAIDUP_GRPC_LISTEN"),
        ({"METRICS_LISTEN": "x"}, "PAIDUP_METRICS_LISTEN"),
        ({"GRACE_DAYS": "-1"}, "PAIDUP_GRACE_DAYS"),
        ({"GRACE_DAYS": "three"}, "PAIDUP_GRACE_DAYS"),
        ({"PENDING_PAYMENT": "maybe"}, "PAIDUP_PENDING_PAYMENT"),
        ({"STRIPE_TIMEOUT_SECONDS": "0"}, "PAIDUP_STRIPE_TIMEOUT_SECONDS"),
        ({"DATABASE_URL": "mysql://x"}, "PAIDUP_DATABASE_URL"),
        ({"PORTAL_RETURN_URL": "app.example.com"}, "PAIDUP_PORTAL_RETURN_URL"),
        ({"PORTAL_RETURN_URL": "http://app.example.com"}, "PAIDUP_PORTAL_RETURN_URL"),
        ({"PORTAL_RETURN_URL": "javascript:alert(1)"}, "PAIDUP_PORTAL_RETURN_URL"),
    ],
)
def test_a_wrong_value_is_named_by_its_variable(environment, variables, problem):
    environment(TEST | variables)

    assert _problems().startswith(f"{problem}: ")


def test_plaintext_for_all_the_world_has_to_be_asked_for(environment):
    environment(TEST | {"GRPC_LISTEN": "0.0.0.0:50051", "ALLOW_PLAINTEXT": "true"})

    assert load(ServiceSettings).grpc_listen == "0.0.0.0:50051"


@pytest.mark.parametrize("base", ["http://127.0.0.1:12111", "http://emulator:12111"])
def test_a_live_key_never_goes_over_plain_http(environment, base):
    environment(LIVE | {"STRIPE_API_BASE": base})

    assert _problems() == "PAIDUP_STRIPE_API_BASE: a live key goes over https only"


def test_a_test_key_may_go_to_the_emulator(environment):
    environment(TEST | {"STRIPE_API_BASE": "http://emulator:12111/"})

    assert load(ServiceSettings).stripe_api_base == "http://emulator:12111"


@pytest.mark.parametrize("url", ["http://localhost:4242/account", "http://127.0.0.1/"])
def test_the_portals_way_back_may_be_loopback_in_test_mode_only(environment, url):
    environment(TEST | {"PORTAL_RETURN_URL": url})
    assert load(ServiceSettings).portal_return_url == url

    environment(LIVE)
    assert _problems().startswith("PAIDUP_PORTAL_RETURN_URL: ")


@pytest.mark.parametrize(
    "origins",
    [
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com:8443,https://b.example",
        " https://app.example.com \n\n https://b.example, ",
        "http://localhost:4242",
        "",
    ],
)
def test_origins_are_a_list(environment, origins):
    environment(TEST | {"ALLOWED_ORIGINS": origins})

    assert "example" not in origins or split(load(ServiceSettings).allowed_origins)


@pytest.mark.parametrize(
    "origins",
    [
        "app.example.com",
        "https://app.example.com/path",
        "https://app.example.com?x",
        "https://user@app.example.com",
        "https://*.example.com",
        "https://app.example.com:99999",
        "http://app.example.com",
        "ftp://app.example.com:21",
        "https://app.example.com;https://b.example",
        "*",
    ],
)
def test_an_origin_that_would_never_match_is_refused(environment, origins):
    environment(TEST | {"ALLOWED_ORIGINS": f"https://good.example, {origins}"})

    assert _problems().startswith("PAIDUP_ALLOWED_ORIGINS: ")


def test_a_policy_is_made_of_the_settings(environment):
    environment(TEST | {"GRACE_DAYS": "7", "PENDING_PAYMENT": "allow"})

    policy = load(ServiceSettings).policy

    assert (policy.grace.days, policy.pending_entitles) == (7, True)
