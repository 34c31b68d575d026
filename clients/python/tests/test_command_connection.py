"""Where the `paidup` command calls, and what it proves who it is with."""

from pathlib import Path
from typing import Any

import grpc

from clients.python.tests.certificates import make_certificate
from clients.python.tests.command import ENTITLED, paidup
from clients.python.tests.scripted_service import ScriptedService, running
from paidup import (
    Event,
)
from paidup.v1 import admin_service_pb2 as admin


async def test_a_token_comes_from_a_file_or_a_variable(
    service: ScriptedService, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text("from-file\n")

    for env in (
        {"PAIDUP_TOKEN": "from-variable"},
        {"PAIDUP_TOKEN_FILE": str(file), "PAIDUP_TOKEN": "from-variable"},
        {"PAIDUP_TOKEN": ""},
    ):
        await paidup("check", "acme", "api_access", address=service.address, env=env)

    sent = [received.metadata.get("authorization") for received in service.received]
    assert sent == ["Bearer from-variable", "Bearer from-file", None]


class Rotating(ScriptedService):
    """Whatever it answers, the caller's token has been rotated before."""

    file: Path

    async def serve(self, *of_call: Any) -> Any:
        self.file.write_text("second\n")
        return await super().serve(*of_call)


async def test_a_token_file_is_read_anew_before_every_call(tmp_path: Path) -> None:
    page = admin.ListEventsResponse(events=[Event()], next_page_token="next")
    async with running(service_class=Rotating) as service:
        service.file = tmp_path / "token"
        service.file.write_text("first\n")
        service.answer("ListEvents", page)
        env = {"PAIDUP_TOKEN_FILE": str(service.file)}
        ended = await paidup("events", address=service.address, env=env)

    assert ended.code == 0
    sent = [received.metadata["authorization"] for received in service.received]
    assert sent == ["Bearer first", "Bearer second"]


async def test_a_token_leaves_the_machine_in_plaintext_only_if_told_so(
    service: ScriptedService,
) -> None:
    # Leads here, but is no address of this machine alone.
    address = service.address.replace("127.0.0.1", "0.0.0.0")
    env = {"PAIDUP_TOKEN": "s3cret", "PAIDUP_TIMEOUT": "5"}

    guarded = await paidup("events", address=address, env=env)
    assert (guarded.code, service.received) == (2, [])
    assert "s3cret" not in guarded.err

    in_a_mesh = await paidup("events", "--plaintext", address=address, env=env)
    assert (in_a_mesh.code, in_a_mesh.err) == (0, "")
    assert service.received[0].metadata["authorization"] == "Bearer s3cret"


async def test_tls_is_by_flags_or_variables(tmp_path: Path) -> None:
    server, caller = (make_certificate(tmp_path, name) for name in ("billing", "operator"))
    credentials = grpc.ssl_server_credentials(
        [(server.key, server.certificate)], caller.certificate, require_client_auth=True
    )
    files = {"PAIDUP_TLS_CA": "billing.pem", "PAIDUP_TLS_CERT": "operator.pem"}
    env = {name: str(tmp_path / file) for name, file in files.items()}
    async with running(credentials) as service:
        service.answer("CheckEntitlement", ENTITLED)
        key = str(tmp_path / "operator.key")
        whole = await paidup(
            "check", "acme", "api_access", "--key", key, address=service.address, env=env
        )
        stranger = await paidup(
            "check", "acme", "x", "--tls", address=service.address, env={"PAIDUP_TIMEOUT": "5"}
        )

    assert (whole.code, whole.err) == (0, "")
    assert stranger.code == 2
    [line] = stranger.err.splitlines()
    assert line.startswith("paidup: UNAVAILABLE")
