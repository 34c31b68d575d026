"""Who may reach whom, line by line."""

import pytest

from tests.deploy.manifests import FOLDERS, every_folder, rendered
from tests.deploy.manifests import SERVER as SERVERS_LABELS
from tests.deploy.reach import Peer, reaches

SERVER = Peer(SERVERS_LABELS)
MIGRATE = Peer({"app.kubernetes.io/name": "paidup", "app.kubernetes.io/component": "migrate"})
EMULATOR = Peer({"app.kubernetes.io/name": "stripe-emulator"})
ANYTHING = Peer({"app": "whatever"})

CALLS = {"paidup-callers": "true"}
BACKEND = Peer({"paidup-caller": "true"}, "shop", CALLS)
UNNAMED = Peer({"app": "shop"}, "shop", CALLS)
UNNAMED_NAMESPACE = Peer({"paidup-caller": "true"}, "elsewhere")
INGRESS = Peer({}, "ingress-nginx")
PROMETHEUS = Peer({}, "monitoring")
DNS = Peer({"k8s-app": "kube-dns"}, "kube-system")

STRIPE = Peer(address="203.0.113.9")
STRIPE_6 = Peer(address="2001:db8::9")
DATABASE = Peer(address="10.20.30.40")
ANOTHER_SERVER = Peer(address="10.20.30.41")
METADATA = Peer(address="169.254.169.254")
API_SERVER = Peer(address="10.96.0.1")

EVERYWHERE = [
    (BACKEND, SERVER, 50051, True),
    (BACKEND, SERVER, 9464, False),
    (BACKEND, SERVER, 8080, False),
    (UNNAMED, SERVER, 50051, False),
    (UNNAMED_NAMESPACE, SERVER, 50051, False),
    (INGRESS, SERVER, 8080, True),
    (INGRESS, SERVER, 50051, False),
    (INGRESS, SERVER, 9464, False),
    (PROMETHEUS, SERVER, 9464, True),
    (PROMETHEUS, SERVER, 8080, True),
    (PROMETHEUS, SERVER, 50051, False),
    (ANYTHING, SERVER, 50051, False),
    (STRIPE, SERVER, 8080, False),
    (SERVER, DNS, 53, True),
    (SERVER, STRIPE, 443, True),
    (SERVER, STRIPE_6, 443, True),
    (SERVER, STRIPE, 80, False),
    (SERVER, METADATA, 443, False),
    (SERVER, METADATA, 80, False),
    (SERVER, API_SERVER, 443, False),
    (ANYTHING, STRIPE, 443, False),
]

REPLICATED = [
    (SERVER, DATABASE, 5432, True),
    (SERVER, STRIPE, 5432, False),
    (SERVER, DATABASE, 443, False),
    (MIGRATE, DATABASE, 5432, True),
    (MIGRATE, DNS, 53, True),
    (MIGRATE, STRIPE, 443, False),
    (BACKEND, MIGRATE, 50051, False),
]

WITH_EMULATOR = [
    (SERVER, EMULATOR, 12111, True),
    (EMULATOR, SERVER, 8080, True),
    (EMULATOR, SERVER, 50051, False),
    (EMULATOR, STRIPE, 443, False),
    (BACKEND, EMULATOR, 12111, False),
]

TABLE = [
    *((folder, *line) for folder in FOLDERS for line in EVERYWHERE),
    *((folder, *line) for folder in ("replicated", "example") for line in REPLICATED),
    ("replicated", SERVER, ANOTHER_SERVER, 5432, True),
    ("example", SERVER, ANOTHER_SERVER, 5432, False),
    ("single", SERVER, DATABASE, 5432, False),
    *(("try", *line) for line in WITH_EMULATOR),
]


@pytest.mark.parametrize(("folder", "source", "target", "port", "allowed"), TABLE)
def test_who_reaches_whom(folder, source, target, port, allowed):
    policies = rendered(folder).of("NetworkPolicy")

    assert reaches(policies, source, target, port) is allowed


@every_folder
def test_names_are_asked_for_over_both_protocols(folder):
    policies = rendered(folder).of("NetworkPolicy")

    assert reaches(policies, SERVER, DNS, 53, "UDP")


@every_folder
def test_every_policy_but_that_which_denies_is_about_pods_that_there_are(folder):
    labels = [each["metadata"]["labels"] for each in rendered(folder).templates.values()]
    denied = []
    for policy in rendered(folder).of("NetworkPolicy"):
        wanted = policy["spec"]["podSelector"].get("matchLabels")
        if not wanted:
            denied.append(policy["metadata"]["name"])
            continue
        assert any(each.items() >= wanted.items() for each in labels), policy["metadata"]["name"]

    assert denied == ["deny-all"]


def test_without_the_policies_everything_would_be_let_through():
    assert reaches([], ANYTHING, SERVER, 50051)
