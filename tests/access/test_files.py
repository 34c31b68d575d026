"""Each file that says who may call: what is taken, and what is refused with a reason."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm

from billing_service import certificates, policy_file, service_tokens, static_tokens
from billing_service.account_scope import ALL, Scope
from billing_service.watched_file import MOST_BYTES, FileInvalid, WatchedFiles
from tests.access.serving import METHODS, SERVICES
from tests.docs.pages import ROOT, page
from tests.pki import Authority, Cluster


def _policy(text: str) -> policy_file.Policy:
    return policy_file.parse([text.encode()])


def _entry(name: str, *methods: str, accounts: list[str] | None = None) -> str:
    limited = f"\naccounts = {json.dumps(accounts)}" if accounts is not None else ""
    return f"[[caller]]\nname = {json.dumps(name)}\nmay_call = {json.dumps(methods)}{limited}\n"


class TestPolicy:
    def test_who_is_not_in_it_may_nothing(self):
        policy = _policy(_entry("token:shop", "billing"))

        assert policy.rights("token:sho") == {}
        assert policy.rights("token:shop2") == {}
        assert policy.rights("unauthenticated") == {}
        assert policy.rights("") == {}

    def test_an_empty_one_lets_nobody_in(self):
        assert _policy("").rights("token:shop") == {}

    def test_a_group_is_all_of_its_service_and_nothing_else(self):
        policy = _policy(_entry("a", "billing") + _entry("b", "admin"))

        assert set(policy.rights("a")) == {each.name for each in SERVICES["BillingService"].methods}
        assert set(policy.rights("b")) == {each.name for each in SERVICES["AdminService"].methods}

    def test_every_method_can_be_named(self):
        policy = _policy(_entry("a", *METHODS))

        assert set(policy.rights("a")) == set(METHODS)

    def test_a_star_at_the_end_covers_what_begins_so(self):
        policy = _policy(_entry("spiffe://example.org/ns/ops/*", "admin"))

        assert policy.rights("spiffe://example.org/ns/ops/sa/cli")
        assert not policy.rights("spiffe://example.org/ns/ops")
        assert not policy.rights("spiffe://example.org/ns/opsies/sa/cli")

    def test_of_several_entries_each_adds_what_it_allows(self):
        policy = _policy(
            _entry("a", "CheckEntitlement", accounts=["x"])
            + _entry("a*", "CheckEntitlement", accounts=["y-*"])
            + _entry("a", "ListGrants", accounts=["z"])
        )

        rights = policy.rights("a")

        assert "x" in rights["CheckEntitlement"]
        assert "y-1" in rights["CheckEntitlement"]
        assert "z" not in rights["CheckEntitlement"]
        assert "x" not in rights["ListGrants"]

    def test_without_accounts_it_is_every_account(self):
        assert _policy(_entry("a", "billing")).rights("a")["CheckEntitlement"] == ALL

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("[[caller]]\nname = ", "Invalid value"),
            ("[[callers]]\nname = 'a'\nmay_call = ['billing']", "callers: Extra inputs"),
            (_entry("a", "billing") + "acounts = ['x']\n", "caller.0.acounts: Extra inputs"),
            (_entry("a"), "caller.0.may_call: List should have at least 1 item"),
            (_entry("a", "billing", accounts=[]), "caller.0.accounts: List should have at least 1"),
            (_entry("a", "CheckEntitlements"), "CheckEntitlements is neither a method nor one of"),
            (_entry("a", "*"), "* is neither a method nor one of"),
            (_entry("", "billing"), "caller.0.name: String should have at least 1 character"),
            (_entry("a b", "billing"), "caller.0.name: String should match"),
            (_entry("spiffe://*/sa/web", "billing"), "caller.0.name: may hold * at its end only"),
            (_entry("a", "billing", accounts=["*-x"]), "may hold * at its end only"),
            ("[[caller]]\nname = 'a'", "caller.0.may_call: Field required"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_place(self, text, told):
        with pytest.raises(FileInvalid) as invalid:
            _policy(text)

        assert told in str(invalid.value)

    def test_text_in_no_known_script_is_refused(self):
        with pytest.raises(FileInvalid, match="UTF-8"):
            policy_file.parse([b"\xff\xfe"])


class TestExamples:
    def test_the_example_says_what_its_comments_say(self):
        policy = policy_file.parse([(ROOT / "deploy/examples/policy.toml").read_bytes()])

        asking = policy.rights("spiffe://example.org/ns/api/sa/search")
        support = policy.rights("token:support")
        reports = policy.rights("dns:reports.internal.example.org")
        assert set(asking) == {
            "CheckEntitlement",
            "BatchCheckEntitlements",
            "ListEntitlements",
            "WatchEntitlements",
        }
        assert policy.rights("spiffe://example.org/ns/apis/sa/search") == {}
        assert "EraseAccount" not in support
        assert "CreateGrant" in support
        assert "reports-1" in reports["CheckEntitlement"]
        assert "shop-1" not in reports["CheckEntitlement"]
        assert set(policy.rights("system:serviceaccount:billing:operators")) == set(METHODS)

    def test_the_page_shows_a_policy_that_works(self):
        (shown,) = page("docs/authentication.md").code("toml")

        assert "ReplayEvent" not in _policy(shown).rights("spiffe://example.org/ns/shop/sa/web")
        assert "reports-1" in _policy(shown).rights("token:reports")["ListEntitlements"]


class TestScope:
    def test_names_are_taken_exactly_and_beginnings_by_a_star(self):
        scope = Scope.of(["acme", "team-*"])

        taken = ["acme", "team-", "team-1"]
        assert [each for each in taken if each in scope] == taken
        assert [each for each in ("", "acme2", "acm", "team", "ACME") if each in scope] == []
        assert not scope.is_all

    def test_a_star_alone_is_every_account(self):
        assert Scope.of(["*"]).is_all

    def test_nothing_is_in_an_empty_one(self):
        assert "" not in Scope()
        assert "acme" not in Scope()


class TestTokens:
    def test_a_name_may_have_two_while_one_replaces_the_other(self):
        old, new = static_tokens.make("shop"), static_tokens.make("shop")
        tokens = static_tokens.parse([f"# shop\n{old.line}\n\n{new.line}  # since May\n".encode()])

        assert tokens.caller(old.token) == tokens.caller(new.token) == "token:shop"
        assert tokens.caller(static_tokens.make("shop").token) is None
        assert tokens.caller("") is None

    def test_the_line_does_not_hold_the_token(self):
        made = static_tokens.make("shop")

        assert made.token not in made.line
        assert len(made.token) == 48

    @pytest.mark.parametrize(
        "line",
        [
            "shop",
            "shop pdtk_secret",
            f"shop {'0' * 64}",
            f"shop sha256:{'0' * 63}",
            f"shop sha256:{'G' * 64}",
            f"a/b sha256:{'0' * 64}",
            f"shöp sha256:{'0' * 64}",
            f"shop sha256:{'0' * 64} more",
        ],
    )
    def test_another_line_is_named_by_its_number_alone(self, line):
        with pytest.raises(FileInvalid) as invalid:
            static_tokens.parse([f"# tokens\n{line}\n".encode()])

        assert str(invalid.value) == "line 2 is not NAME sha256:HASH"

    def test_a_token_of_two_names_is_refused(self):
        with pytest.raises(FileInvalid, match="twice"):
            static_tokens.parse([f"a sha256:{'0' * 64}\nb sha256:{'0' * 64}".encode()])

    @pytest.mark.parametrize("name", ["", "a b", "a#b", "é", "x" * 101])
    def test_what_cannot_be_a_name_gets_no_token(self, name):
        with pytest.raises(ValueError, match="A name has"):
            static_tokens.make(name)


class TestKeys:
    def test_public_keys_are_taken_by_kid(self):
        assert set(service_tokens.parse([_jwks(Cluster().keys)])) == {"key-1", "key-1-ec"}

    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ({"kid": ""}, "key 0 has no kid"),
            ({"kid": "key-1-ec"}, "two keys of one kid"),
            ({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}, "key 0 is not a public key"),
            ({"alg": "HS256"}, "cannot be understood|not accepted|not a public key"),
            ({"d": "AQAB"}, "key 0 is not a public key"),
        ],
    )
    def test_others_are_refused(self, tmp_path, change, told):
        first, second = Cluster().keys
        path = tmp_path / "jwks.json"
        path.write_bytes(_jwks([first | change, second]))

        with pytest.raises(FileInvalid, match=told):
            WatchedFiles("jwks", [path], service_tokens.parse)

    def test_a_key_for_another_algorithm_is_refused(self):
        odd = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256K1()).public_key(), as_dict=True)

        with pytest.raises(FileInvalid, match="key 0 is for an algorithm that is not accepted"):
            service_tokens.parse([_jwks([odd | {"kid": "k"}])])

    def test_short_keys_are_refused(self):
        short = rsa.generate_private_key(public_exponent=65537, key_size=1024)

        with pytest.raises(FileInvalid, match="fewer than 2048 bits"):
            service_tokens.parse([_jwks(Cluster(rsa_key=short).keys)])

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"keys": []}', b'{"keys": [1]}'])
    def test_what_holds_no_keys_is_refused(self, tmp_path, content):
        path = tmp_path / "jwks.json"
        path.write_bytes(content)

        with pytest.raises(FileInvalid, match=r"jwks\.json: (cannot be understood|holds no keys)"):
            WatchedFiles("jwks", [path], service_tokens.parse)


def _jwks(keys: list[dict[str, object]]) -> bytes:
    return json.dumps({"keys": keys}).encode()


class TestCertificates:
    def test_an_expired_one_is_refused(self):
        issued = Authority().issue_for_server(expires=datetime.now(UTC) - timedelta(minutes=1))

        with pytest.raises(FileInvalid, match="has expired"):
            certificates.parse([issued.certificate, issued.key])

    def test_a_key_of_another_is_refused(self):
        one, other = Authority().issue_for_server(), Authority().issue_for_server()

        with pytest.raises(FileInvalid, match="another certificate's"):
            certificates.parse([one.certificate, other.key])

    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_what_is_no_pem_is_refused(self, tmp_path, place):
        authority = Authority()
        issued = authority.issue_for_server()
        contents = [issued.certificate, issued.key, authority.certificate]
        contents[place] = b"-----BEGIN NONSENSE-----"
        paths = [tmp_path / str(number) for number in range(3)]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)

        with pytest.raises(FileInvalid, match=r"not one in PEM|cannot be understood"):
            WatchedFiles("certificate", paths, certificates.parse)


class TestWatching:
    def test_what_is_too_large_is_refused(self, tmp_path):
        path = tmp_path / "policy.toml"
        path.write_bytes(b"#" * (MOST_BYTES + 1))

        with pytest.raises(FileInvalid, match="more than"):
            WatchedFiles("policy", [path], policy_file.parse)

    def test_what_is_not_there_is_refused(self, tmp_path):
        with pytest.raises(FileInvalid, match="No such file"):
            WatchedFiles("policy", [tmp_path / "none"], policy_file.parse)

    def test_what_breaks_and_mends_is_followed(self, tmp_path, caplog):
        path = tmp_path / "policy.toml"
        path.write_text(_entry("a", "billing"))
        watched = WatchedFiles("policy", [path], policy_file.parse)
        first = watched.current

        looks = {}
        for what, text in {
            "same": _entry("a", "billing"),
            "broken": "[",
            "still broken": "[",
            "as it was": _entry("a", "billing"),
            "broken again": "[",
            "another": _entry("b", "billing"),
        }.items():
            path.write_text(text)
            looks[what] = (watched.look(), bool(watched.current.rights("a")))
        path.unlink()
        looks["gone"] = (watched.look(), bool(watched.current.rights("b")))

        assert looks == {
            "same": (False, True),
            "broken": (False, True),
            "still broken": (False, True),
            "as it was": (False, True),
            "broken again": (False, True),
            "another": (True, False),
            "gone": (False, True),
        }
        assert watched.current is not first
        told = [each for each in caplog.records if each.message == "access_file_unusable"]
        assert len(told) == 3
