"""What refers to something else finds it: by name, by label and by port."""

import re

import pytest

from billing_service.leaving import longest
from tests.deploy.manifests import (
    NAMESPACE,
    OVER_TLS,
    SERVER,
    Json,
    Objects,
    containers,
    every_folder,
    rendered,
    serving,
)
from tests.docs.pages import page
from webhook_gateway.server import CLOSING, DRAIN_TIMEOUT

#: PostgreSQL's default, less those that it keeps for its superuser.
MAX_CONNECTIONS = 100 - 3
#: Stripe's limit of calls a second in live mode, for everybody with the account's keys.
STRIPE_LIMIT = 100


def _selected(objects: Objects, selector: dict[str, str]) -> list[Json]:
    return [
        template
        for template in objects.templates.values()
        if template["metadata"]["labels"].items() >= selector.items()
    ]


@every_folder
def test_every_service_leads_to_pods_that_listen_there(folder):
    objects = rendered(folder)
    for service in objects.of("Service"):
        pods = _selected(objects, service["spec"]["selector"])
        assert len(pods) == 1, service["metadata"]["name"]
        listening = {
            port["containerPort"]
            for container in serving(pods[0]["spec"])
            for port in container.get("ports", [])
        }
        for port in service["spec"]["ports"]:
            assert port["targetPort"] in listening, service["metadata"]["name"]


@every_folder
def test_grpc_has_an_address_for_one_connection_and_one_for_many(folder):
    def grpc(name: str) -> tuple[str | None, Json]:
        spec = rendered(folder).one("Service", name)["spec"]
        (port,) = spec["ports"]
        return spec.get("clusterIP"), port

    together, one = grpc("paidup"), grpc("paidup-headless")

    assert (together[0], one[0]) == (None, "None")
    assert together[1] == one[1]
    assert one[1]["appProtocol"] == ("https" if folder in OVER_TLS else "kubernetes.io/h2c")


@every_folder
def test_webhooks_and_calls_have_services_of_their_own(folder):
    ports = {
        service["metadata"]["name"]: {port["targetPort"] for port in service["spec"]["ports"]}
        for service in rendered(folder).of("Service")
    }

    assert ports["paidup"] == ports["paidup-headless"] == {50051}
    assert ports["paidup-gateway"] == {8080}
    assert ports["paidup-metrics"] == {9464, 8080}


@every_folder
def test_every_owner_selects_its_own_pods_alone(folder):
    objects = rendered(folder)
    for owner in objects.of("Deployment", "StatefulSet"):
        selector = owner["spec"]["selector"]["matchLabels"]
        assert _selected(objects, selector) == [owner["spec"]["template"]]
        for constraint in owner["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert constraint["labelSelector"]["matchLabels"] == selector


@every_folder
def test_the_account_the_priority_and_the_maps_that_pods_name_are_there(folder):
    objects = rendered(folder)
    maps = {each["metadata"]["name"] for each in objects.of("ConfigMap")}
    for owner, template in objects.templates.items():
        pod = template["spec"]
        if account := pod.get("serviceAccountName"):
            assert objects.one("ServiceAccount", account)["automountServiceAccountToken"] is False
        if priority := pod.get("priorityClassName"):
            assert objects.one("PriorityClass", priority)
        for container in containers(pod):
            for source in container.get("envFrom", []):
                assert source["configMapRef"]["name"] in maps, owner
        for volume in pod.get("volumes", []):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps, owner


@every_folder
def test_every_mount_is_of_a_volume_and_every_volume_is_mounted(folder):
    objects = rendered(folder)
    for owner, template in objects.templates.items():
        pod = template["spec"]
        mounted = {m["name"] for each in containers(pod) for m in each.get("volumeMounts", [])}
        volumes = {each["name"] for each in pod.get("volumes", [])}
        if owner.startswith("StatefulSet/"):
            claims = objects.server["spec"]["volumeClaimTemplates"]
            volumes |= {each["metadata"]["name"] for each in claims}
        assert mounted == volumes, owner


def test_the_budget_and_the_autoscaler_are_about_the_servers_pods():
    objects = rendered("replicated")
    budget = objects.one("PodDisruptionBudget")["spec"]
    scaler = objects.one("HorizontalPodAutoscaler")["spec"]

    assert _selected(objects, budget["selector"]["matchLabels"]) == [
        objects.server["spec"]["template"]
    ]
    target = scaler["scaleTargetRef"]
    assert objects.one(target["kind"], target["name"]) == objects.server
    assert "replicas" not in objects.server["spec"], "the autoscaler says how many"
    for metric in scaler["metrics"]:
        container = objects.container(metric["containerResource"]["container"])
        assert metric["containerResource"]["name"] in container["resources"]["requests"]
    # Else a node could never be drained.
    assert budget["maxUnavailable"] < scaler["minReplicas"]


def test_one_pod_is_neither_scaled_nor_budgeted():
    objects = rendered("single")

    assert objects.server["kind"] == "StatefulSet"
    assert objects.server["spec"]["replicas"] == 1
    assert objects.of("HorizontalPodAutoscaler", "PodDisruptionBudget", "Deployment") == []
    assert (
        objects.one("Service", objects.server["spec"]["serviceName"])["spec"]["clusterIP"] == "None"
    )


@every_folder
def test_a_pod_has_the_time_that_both_processes_may_take_to_leave(folder):
    objects = rendered(folder)
    drain = float(objects.environment(objects.container("service"))["PAIDUP_DRAIN_SECONDS"])

    assert drain >= 5, "endpoints need a while to be told"
    # The gateway is told to stop only once the service has ended.
    gateway = DRAIN_TIMEOUT + CLOSING
    assert objects.pod["terminationGracePeriodSeconds"] > longest(drain) + gateway


def test_all_pods_together_stay_within_what_postgresql_admits():
    objects = rendered("replicated")
    most = objects.one("HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    surge = objects.server["spec"]["strategy"]["rollingUpdate"]["maxSurge"]

    def connections(name: str) -> int:
        environment = objects.environment(objects.container(name))
        size, overflow = "PAIDUP_DATABASE_POOL_SIZE", "PAIDUP_DATABASE_POOL_OVERFLOW"
        return int(environment[size]) + int(environment[overflow])

    listening, migrating = 1, 1
    pod = connections("service") + listening + connections("gateway")
    assert pod * (most + surge) + migrating <= MAX_CONNECTIONS


def test_all_pods_together_stay_within_what_stripe_admits():
    objects = rendered("replicated")
    calls = objects.environment(objects.container("service"))["PAIDUP_STRIPE_CALLS_PER_SECOND"]

    most = objects.one("HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    assert int(calls) * most <= STRIPE_LIMIT


def test_a_rollout_never_has_fewer_pods_than_there_were():
    update = rendered("replicated").server["spec"]["strategy"]["rollingUpdate"]

    assert update == {"maxSurge": 1, "maxUnavailable": 0}
    # Callers look again for a pod that they lost after ten seconds or so.
    assert rendered("replicated").server["spec"]["minReadySeconds"] >= 15


def test_the_ingress_leads_to_the_gateway_and_to_one_path_of_it():
    objects = rendered("example")
    ingress = objects.one("Ingress", "paidup-webhooks")["spec"]
    (rule,) = ingress["rules"]
    (path,) = rule["http"]["paths"]

    backend = path["backend"]["service"]
    ports = {p["name"] for p in objects.one("Service", backend["name"])["spec"]["ports"]}
    assert (path["path"], path["pathType"]) == ("/webhooks/stripe", "Exact")
    assert backend["name"] == "paidup-gateway"
    assert backend["port"]["name"] in ports
    assert ingress["tls"][0]["hosts"] == [rule["host"]]


def test_what_is_scraped_is_there():
    objects = rendered("example")
    monitor = objects.one("ServiceMonitor")["spec"]
    labels = monitor["selector"]["matchLabels"]
    found = [
        each
        for each in objects.of("Service")
        if each["metadata"]["labels"].items() >= labels.items()
    ]

    (service,) = found
    assert service["spec"]["selector"] == SERVER
    ports = {port["name"] for port in service["spec"]["ports"]}
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} == ports


@pytest.mark.parametrize("folder", sorted(OVER_TLS))
def test_the_certificate_is_the_services_and_names_what_callers_call_it(folder):
    objects = rendered(folder)
    certificate = objects.one("Certificate")["spec"]
    service = objects.container("service")
    mounts = {each["mountPath"]: each["name"] for each in service["volumeMounts"]}
    volumes = {each["name"]: each for each in objects.pod["volumes"]}
    environment = objects.environment(service)

    where, file = environment["PAIDUP_TLS_CERTIFICATE_FILE"].rsplit("/", 1)
    assert volumes[mounts[where]]["secret"]["secretName"] == certificate["secretName"]
    assert (file, environment["PAIDUP_TLS_KEY_FILE"]) == ("tls.crt", f"{where}/tls.key")
    assert environment["PAIDUP_ALLOW_PLAINTEXT"] == "false"
    assert {
        f"{name}.{NAMESPACE}.{domain}"
        for name in ("paidup", "paidup-headless")
        for domain in ("svc", "svc.cluster.local")
    } == set(certificate["dnsNames"])


@pytest.mark.parametrize("folder", sorted(OVER_TLS))
def test_the_policy_keeps_its_name_so_that_a_change_needs_no_new_pods(folder):
    maps = {each["metadata"]["name"] for each in rendered(folder).of("ConfigMap")}

    assert "paidup-policy" in maps
    assert (
        rendered(folder)
        .environment(rendered(folder).container("service"))["PAIDUP_POLICY_FILE"]
        .endswith("/policy.toml")
    )


def test_every_secret_is_made_on_the_page():
    names = {
        volume["secret"]["secretName"]
        for folder in ("replicated", "single", "with-encryption")
        for template in rendered(folder).templates.values()
        for volume in template["spec"].get("volumes", [])
        if "secret" in volume
    }
    text = page("docs/kubernetes.md").text

    assert {name for name in names if not re.search(rf"secret generic {name}\b", text)} == set()
