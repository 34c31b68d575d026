"""Every object is one that Kubernetes knows, field by field."""

import json

import kubernetes_validate
import pytest
from kubernetes_validate.utils import all_versions

from tests.deploy.manifests import FOLDERS, NAMESPACE, OVER_TLS, Json, every_folder, rendered

#: The newest three, which Kubernetes' own project supports.
VERSIONS = list(dict.fromkeys(all_versions()))[-3:]

#: Kinds of operators', of which Kubernetes has no schema, and what their specs must have.
CUSTOM = {
    "monitoring.coreos.com/v1": {
        "ServiceMonitor": ["selector", "endpoints"],
        "PrometheusRule": ["groups"],
    },
    "cert-manager.io/v1": {"Certificate": ["secretName", "dnsNames", "issuerRef"]},
}
OF_THE_CLUSTER = {"Namespace", "PriorityClass"}


def _every_object() -> dict[str, Json]:
    """Give each object once, however many folders have it."""
    return {
        json.dumps(each, sort_keys=True): each
        for folder in FOLDERS
        for each in rendered(folder).all
        if each["apiVersion"] not in CUSTOM
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_kubernetes_schema(version):
    problems = []
    for each in _every_object().values():
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            problems.append(f"{each['kind']} {each['metadata']['name']}: {error.message}")

    assert problems == []


@every_folder
def test_kinds_of_operators_have_what_they_need(folder):
    for each in rendered(folder).all:
        if kinds := CUSTOM.get(each["apiVersion"]):
            assert set(kinds[each["kind"]]) <= set(each["spec"])


@every_folder
def test_every_object_is_in_the_one_namespace(folder):
    elsewhere = [
        (each["kind"], each["metadata"]["name"])
        for each in rendered(folder).all
        if each["metadata"].get("namespace") != NAMESPACE and each["kind"] not in OF_THE_CLUSTER
    ]

    assert elsewhere == []


def test_a_field_that_is_not_there_is_found():
    deployment = rendered("replicated").one("Deployment")

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**deployment, "speck": {}}, VERSIONS[-1], strict=True)


def test_there_is_an_overlay_for_each_database_and_one_to_try():
    ours = {"single", "replicated", "try", "example", "with-encryption"}
    assert set(FOLDERS) == ours | OVER_TLS
