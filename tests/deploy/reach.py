"""Who may reach whom under a set of NetworkPolicies, as Kubernetes defines it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network

from tests.deploy.manifests import NAMESPACE, Json


@dataclass(frozen=True)
class Way:
    """One of the two directions, in the words of a policy."""

    type: str
    rules: str
    peers: str


OUT = Way("Egress", "egress", "to")
IN = Way("Ingress", "ingress", "from")


@dataclass(frozen=True)
class Peer:
    """A pod, or with an address somebody who is no pod."""

    labels: dict[str, str] = field(default_factory=dict)
    namespace: str = NAMESPACE
    #: Labels of the namespace, besides its name.
    namespace_labels: dict[str, str] = field(default_factory=dict)
    address: str = ""

    @property
    def _all_of_namespace(self) -> dict[str, str]:
        return {"kubernetes.io/metadata.name": self.namespace, **self.namespace_labels}

    def named_by(self, peer: Json) -> bool:
        if block := peer.get("ipBlock"):
            return self._within(block)
        if self.address:
            return False
        if "namespaceSelector" in peer:
            inside = _matches(peer["namespaceSelector"], self._all_of_namespace)
        else:
            inside = self.namespace == NAMESPACE
        return inside and _matches(peer.get("podSelector", {}), self.labels)

    def _within(self, block: Json) -> bool:
        if not self.address:
            return False
        networks = [block["cidr"], *block.get("except", [])]
        first, *rest = (ip_address(self.address) in ip_network(each) for each in networks)
        return first and not any(rest)


def _matches(selector: Json, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, "only labels are understood here"
    return bool(labels.items() >= selector.get("matchLabels", {}).items())


def reaches(
    policies: Iterable[Json], source: Peer, target: Peer, port: int, protocol: str = "TCP"
) -> bool:
    specs = [each["spec"] for each in policies]
    at = {"port": port, "protocol": protocol}
    return _lets(specs, OUT, source, target, at) and _lets(specs, IN, target, source, at)


def _lets(specs: list[Json], way: Way, subject: Peer, other: Peer, at: Json) -> bool:
    """Tell whether the subject's policies let it out to, or let in, the other."""
    if subject.address or subject.namespace != NAMESPACE:
        return True  # none of ours is about it
    about = [
        each
        for each in specs
        if way.type in each["policyTypes"] and _matches(each["podSelector"], subject.labels)
    ]
    rules = [rule for each in about for rule in each.get(way.rules, [])]
    return not about or any(_allows(rule, way.peers, other, at) for rule in rules)


def _allows(rule: Json, side: str, other: Peer, at: Json) -> bool:
    ports = rule.get("ports")
    at_port = not ports or any({"protocol": "TCP", **each} == at for each in ports)
    return at_port and (side not in rule or any(other.named_by(peer) for peer in rule[side]))
