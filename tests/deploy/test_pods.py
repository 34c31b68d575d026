"""Every pod: without rights, with its secrets as files, and with settings that exist."""

import re

import pytest

from billing_service.settings import ServiceSettings
from stripe_emulator.cli import DEFAULT_LISTEN as EMULATOR_LISTEN
from subscription_state.settings import StateSettings
from tests.deploy.manifests import (
    MADE_UP,
    ROOT,
    Json,
    containers,
    every_folder,
    named,
    rendered,
    serving,
    version,
)
from webhook_gateway.settings import GatewaySettings

USER = 65532
SECRETS = re.compile(r"[sr]k_(test|live)_\w|whsec_\w|://[^/@\s]+:[^/@\s]+@")
MOUNTED = "/run/secrets/paidup/"

#: What each process reads, by how it is started.
SETTINGS: dict[tuple[str, ...], type[StateSettings]] = {
    ("billing_service", "serve"): ServiceSettings,
    ("billing_service", "migrate"): StateSettings,
    ("billing_service", "roles"): StateSettings,
    ("webhook_gateway",): GatewaySettings,
}


def _every_container(folder: str) -> list[tuple[str, Json]]:
    return [
        (f"{owner}/{container['name']}", container)
        for owner, template in rendered(folder).templates.items()
        for container in containers(template["spec"])
    ]


@every_folder
def test_no_pod_has_more_rights_than_the_restricted_profile_gives(folder):
    for owner, template in rendered(folder).templates.items():
        pod = template["spec"]
        assert (
            pod["securityContext"].items()
            >= {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
            }.items()
        ), owner
        assert pod["automountServiceAccountToken"] is False, owner
        assert pod["enableServiceLinks"] is False, owner
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers"} & set(pod), owner
        assert {next(iter(set(each) - {"name"})) for each in pod.get("volumes", [])} <= {
            "configMap",
            "emptyDir",
            "secret",
        }, owner


@every_folder
def test_no_container_has_more_rights_than_the_restricted_profile_gives(folder):
    for name, container in _every_container(folder):
        assert container["securityContext"] == {
            "privileged": False,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert not any("hostPort" in port for port in container.get("ports", [])), name


def test_the_user_is_the_images():
    assert f"USER {USER}:{USER}" in (ROOT / "Dockerfile").read_text()


@every_folder
def test_the_cluster_itself_refuses_pods_with_more_rights(folder):
    labels = rendered(folder).one("Namespace")["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@every_folder
def test_no_container_is_given_a_secret_but_as_a_file(folder):
    for name, container in _every_container(folder):
        assert not any("secretKeyRef" in str(each) for each in named(container)), name
        assert not any("secretRef" in each for each in container.get("envFrom", [])), name
        if folder not in MADE_UP:
            assert not SECRETS.search(str(container)), name
    if folder not in MADE_UP:
        assert rendered(folder).of("Secret") == []
        assert not any(SECRETS.search(str(each)) for each in rendered(folder).of("ConfigMap"))


@every_folder
def test_secrets_are_mounted_as_whole_directories_that_are_renewed(folder):
    for owner, template in rendered(folder).templates.items():
        volumes = {each["name"]: each for each in template["spec"].get("volumes", [])}
        for container in containers(template["spec"]):
            for mount in container.get("volumeMounts", []):
                assert "subPath" not in mount, owner
                if "secret" in volumes.get(mount["name"], {}):
                    assert mount["readOnly"], owner
                    assert volumes[mount["name"]]["secret"]["defaultMode"] == 0o440, owner


@every_folder
def test_stripes_key_is_the_services_alone_and_the_signing_secret_the_gateways(folder):
    service = rendered(folder).container("service")
    gateway = rendered(folder).container("gateway")

    def held(container: Json) -> set[str]:
        names = {mount["name"] for mount in container["volumeMounts"]}
        return {
            re.sub(r"-[a-z0-9]{10}$", "", volume["secret"]["secretName"])
            for volume in rendered(folder).pod["volumes"]
            if volume["name"] in names and "secret" in volume
        }

    assert "paidup-stripe" in held(service)
    assert "paidup-webhook" in held(gateway)
    both = {"paidup-encryption-keys"} if folder == "with-encryption" else set()
    assert held(service) & held(gateway) == both


def test_on_postgresql_each_process_logs_in_as_a_role_of_its_own():
    mounted = {
        mount["name"]
        for name in ("service", "gateway")
        for mount in rendered("replicated").container(name)["volumeMounts"]
        if mount["mountPath"] == f"{MOUNTED}database"
    }
    job = rendered("replicated").templates["Job/paidup-migrate"]["spec"]

    assert mounted == {"database-service", "database-gateway"}
    assert [each["secret"]["secretName"] for each in job["volumes"] if "secret" in each] == [
        "paidup-database-owner"
    ]


def _process(container: Json) -> tuple[str, ...]:
    arguments = container.get("args", [])
    return tuple(arguments[:1] if arguments[:1] == ["webhook_gateway"] else arguments[:2])


@every_folder
def test_every_setting_exists_and_every_file_is_in_a_mounted_directory(folder):
    for name, container in _every_container(folder):
        settings = SETTINGS.get(_process(container))
        if settings is None:
            assert container["name"] in {"emulator", "only-one"}, name
            continue
        known = {f"PAIDUP_{field.upper()}" for field in settings.model_fields}
        given = {each["name"] for each in named(container)}
        # Any setting may come from a file; some are files.
        assert {each.removesuffix("_FILE") for each in given - known} <= known, name
        mounts = tuple(f"{each['mountPath']}/" for each in container["volumeMounts"])
        for each in named(container):
            if each["name"].endswith("_FILE"):
                assert each["value"].startswith(mounts), (name, each)


@every_folder
def test_every_setting_of_the_shared_map_exists(folder):
    known = {
        f"PAIDUP_{field.upper()}"
        for settings in (ServiceSettings, GatewaySettings)
        for field in settings.model_fields
    }
    for each in rendered(folder).of("ConfigMap"):
        if each["metadata"]["name"].startswith("paidup-settings"):
            assert set(each["data"]) <= known


@every_folder
def test_every_process_serves_at_the_ports_that_it_says_and_that_the_code_has(folder):
    ports = {
        port["name"]: port["containerPort"]
        for container in serving(rendered(folder).pod)
        for port in container["ports"]
    }
    listens = {
        "grpc": ("service", "PAIDUP_GRPC_LISTEN", ServiceSettings.model_fields["grpc_listen"]),
        "metrics": (
            "service",
            "PAIDUP_METRICS_LISTEN",
            ServiceSettings.model_fields["metrics_listen"],
        ),
        "webhooks": (
            "gateway",
            "PAIDUP_GATEWAY_LISTEN",
            GatewaySettings.model_fields["gateway_listen"],
        ),
    }

    assert set(ports) == set(listens)
    for port, (container, variable, field) in listens.items():
        said = rendered(folder).environment(rendered(folder).container(container))[variable]
        assert said == f"0.0.0.0:{ports[port]}"
        assert str(field.default).endswith(f":{ports[port]}")


def test_the_emulator_serves_where_it_is_asked():
    (port,) = rendered("try").container("emulator", "Deployment/stripe-emulator")["ports"]
    base = rendered("try").environment(rendered("try").container("service"))[
        "PAIDUP_STRIPE_API_BASE"
    ]

    assert EMULATOR_LISTEN.endswith(f":{port['containerPort']}")
    assert base == f"http://stripe-emulator:{port['containerPort']}"


@every_folder
def test_whoever_serves_is_probed_and_life_does_not_depend_on_the_database(folder):
    for container in serving(rendered(folder).pod):
        paths = {
            kind: container[f"{kind}Probe"]["httpGet"]["path"]
            for kind in ("startup", "liveness", "readiness")
        }
        ports = {port["name"] for port in container["ports"]}
        assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
        assert container["readinessProbe"]["httpGet"]["port"] in ports
        started = container["startupProbe"]
        assert started["periodSeconds"] * started["failureThreshold"] >= 60
        # One slow answer must not end a process.
        assert container["livenessProbe"]["failureThreshold"] >= 3


@every_folder
def test_every_container_has_its_resources_and_no_limit_of_the_processor(folder):
    for name, container in _every_container(folder):
        resources = container["resources"]
        assert set(resources["requests"]) == {"cpu", "memory"}, name
        assert set(resources["limits"]) == {"memory"}, name


@every_folder
def test_every_image_is_this_version_of_ours(folder):
    images = {container["image"] for _, container in _every_container(folder)}

    (image,) = images
    assert image == f"paidup:{version()}" or re.fullmatch(
        r"registry\.example\.com/[\w/]+@sha256:[0-9a-f]{64}", image
    )


@every_folder
def test_what_needs_room_to_write_has_it(folder):
    for container in serving(rendered(folder).pod):
        assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}


@every_folder
def test_the_image_starts_modules_as_the_arguments_expect(folder):
    assert 'ENTRYPOINT ["python", "-m"]' in (ROOT / "Dockerfile").read_text()
    for name, container in _every_container(folder):
        if "command" not in container:
            assert (ROOT / container["args"][0]).is_dir(), name


@pytest.mark.parametrize("folder", ["single", "try"])
def test_on_sqlite_the_schema_is_there_before_anything_serves(folder):
    order = [each["name"] for each in rendered(folder).pod["initContainers"]]

    assert order == ["only-one", "migrate", "gateway"]
    urls = {
        rendered(folder).environment(rendered(folder).container(name))["PAIDUP_DATABASE_URL"]
        for name in ("migrate", "gateway", "service")
    }
    assert len(urls) == 1


@pytest.mark.parametrize("folder", ["replicated", "example"])
def test_on_postgresql_nothing_starts_before_it_can_run_on_the_schema(folder):
    first, *others = rendered(folder).pod["initContainers"]

    assert first["args"][:3] == ["billing_service", "migrate", "--check"]
    assert [each["name"] for each in others] == ["gateway"]


@every_folder
def test_the_gateway_outlives_the_service(folder):
    gateway = rendered(folder).container("gateway")

    assert gateway in rendered(folder).pod["initContainers"]
    assert gateway["restartPolicy"] == "Always"
