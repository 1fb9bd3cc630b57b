"""Ports, health, reflection, TLS, keys, start and stop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin, until

from visavis.client import Client, connect
from visavis.config import Settings
from visavis.errors import InvalidInput, StoreError, Unauthenticated, Unavailable, VisavisError
from visavis.model import Interaction
from visavis.rpc.key_file import keys_path
from visavis.rpc.server import PACKAGE, SERVICES, Server
from visavis.testing.server import serve

NAMES = ["", *(f"{PACKAGE}.{name}" for name, _, _ in SERVICES)]


def health(channel: grpc.Channel, service: str = "") -> str:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[str, str]:
    """A self-signed certificate for this machine and its key, as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "cert.pem").write_bytes(made.public_bytes(pem))
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(private)
    return str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")


@pytest.fixture
def keys(tmp_path: Path) -> str:
    path = tmp_path / "keys"
    add_key(path, "web", "s3cret.with.dots")
    add_key(path, "till", "zwölf")
    return str(path)


def test_health_follows_the_server(shop: Standin, channel: grpc.Channel, server: Server) -> None:
    assert {health(channel, name) for name in NAMES} == {"SERVING"}
    with pytest.raises(grpc.RpcError) as caught:
        health(channel, "nosuch.Service")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def watch(channel: grpc.Channel, service: str = "") -> Any:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    return stub.Watch(health_pb2.HealthCheckRequest(service=service), timeout=10)


def status(answer: Any) -> str:
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def test_health_can_be_watched(shop: Standin) -> None:
    with serve(shop, grace=5) as server:
        channel = grpc.insecure_channel(server.address)
        watches = [watch(channel, name) for name in ("", "", "nosuch")]
        assert [status(next(one)) for one in watches] == ["SERVING", "SERVING", "SERVICE_UNKNOWN"]
        watches[0].cancel()  # one that leaves must not take the others along
        assert health(channel) == "SERVING"
    # Told and ended: a watch does not hold the stop up.
    assert [status(one) for one in watches[1]] == ["NOT_SERVING"]
    assert list(watches[2]) == []
    channel.close()


def test_one_connection_opens_only_so_many_watches(channel: grpc.Channel, server: Server) -> None:
    watches = [watch(channel) for _ in range(4)]
    assert {status(next(one)) for one in watches} == {"SERVING"}
    with pytest.raises(grpc.RpcError) as caught:
        next(watch(channel))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert health(channel) == "SERVING"
    with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as other:
        assert status(next(watch(other))) == "SERVING"
    for one in watches:
        one.cancel()

    def welcome() -> bool:
        call = watch(channel)
        try:
            return status(next(call)) == "SERVING"
        except grpc.RpcError:
            return False
        finally:
            call.cancel()

    until(welcome)


def test_a_store_that_takes_no_more_is_not_healthy(channel: grpc.Channel, shop: Standin) -> None:
    watched = watch(channel)
    assert status(next(watched)) == "SERVING"
    shop.writer.failure = StoreError("the disk is gone")
    assert {name.rpartition(".")[2] for name in NAMES if health(channel, name) == "NOT_SERVING"} == {
        "", "AdminService", "CatalogService", "CustomerService", "InteractionService",
    }  # fmt: skip
    assert status(next(watched)) == "NOT_SERVING"
    watched.cancel()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_calls_wait_until_the_server_is_warm(shop: Standin) -> None:
    shop.warm.clear()
    port = free_port()
    with ThreadPoolExecutor(1) as threads:
        stop = threading.Event()

        def work() -> None:
            with serve(shop, listen=f"127.0.0.1:{port}"):
                stop.wait(10)

        running = threads.submit(work)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, connect(f"127.0.0.1:{port}") as client:
            grpc.channel_ready_future(channel).result(timeout=10)
            assert {health(channel, name) for name in NAMES} == {"NOT_SERVING"}
            with pytest.raises(Unavailable, match="the server is warming up; try again in a moment"):
                client.identify.record([Interaction("view")])
            assert shop.announced is None
            threading.Timer(0.2, shop.warm.set).start()
            assert client.recommend("ann").customer_id == "ann"  # a read is repeated until the server is ready
            assert {health(channel, name) for name in NAMES} == {"SERVING"}
        stop.set()
        running.result()


def test_a_failing_warm_up_leaves_no_server(shop: Standin) -> None:
    def broken() -> None:
        raise RuntimeError("no compiler")

    shop.warm_up = broken  # type: ignore[method-assign]
    port = free_port()
    with pytest.raises(RuntimeError, match="no compiler"), serve(shop, listen=f"127.0.0.1:{port}"):
        raise NotImplementedError("it must not come to this")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", port))


def test_reflection_lists_all_services(channel: grpc.Channel) -> None:
    stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([request]))
    listed = {service.name for service in answer.list_services_response.service}
    assert listed == {*NAMES[1:], "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}


def test_a_plain_loopback_server_announces_itself(server: Server, shop: Standin) -> None:
    assert server.address.startswith("127.0.0.1:")
    assert server.owner_address == server.address
    assert shop.announced is not None
    assert shop.announced[0] == server.address
    assert len(shop.announced[1]) >= 32
    with connect(server.address, key=f"owner.{shop.announced[1]}") as client:
        assert client.admin.status().sequence == 42


@pytest.mark.parametrize(
    ("key", "welcome"),
    [
        ("", False),
        ("web.s3cret.with.dots", True),
        ("web.s3cret", False),
        ("web", False),
        ("web.", False),
        (".s3cret", False),
        ("nobody.s3cret.with.dots", False),
        ("owner.guess", False),
    ],
)
def test_keys_are_asked_for(shop: Standin, keys: str, key: str, welcome: bool) -> None:
    with serve(shop, keys_file=keys) as server, connect(server.address, key=key) as client:
        if welcome:
            assert client.recommend("ann").customer_id == "ann"
        else:
            with pytest.raises(Unauthenticated, match=r"is (missing; send|not valid; ask)"):
                client.recommend("ann")
            assert not shop.seen
        assert server.owner_key
        with connect(server.owner_address, key=server.owner_key) as owner:
            assert owner.admin.status().sequence == 42


def test_other_schemes_are_no_keys(shop: Standin, keys: str) -> None:
    with serve(shop, keys_file=keys) as server, grpc.insecure_channel(server.address) as channel:
        assert health(channel) == "SERVING"  # for load balancers, which have no key
        call = channel.unary_unary("/visavis.api.v1.AdminService/GetStatus")
        for header in ("web.s3cret.with.dots", "Basic web.s3cret.with.dots", "Bearer", "bearerweb.s3cret.with.dots"):
            with pytest.raises(grpc.RpcError) as caught:
                call(b"", metadata=[("authorization", header)])
            assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert call(b"", metadata=[("authorization", "bearer  web.s3cret.with.dots")])


def test_tls_with_keys_and_a_port_for_the_owner(shop: Standin, certificate: tuple[str, str], keys: str) -> None:
    with serve(shop, listen="0.0.0.0:0", tls_cert=certificate[0], tls_key=certificate[1], keys_file=keys) as server:
        public = f"127.0.0.1:{server.address.rpartition(':')[2]}"
        with connect(public, key="web.s3cret.with.dots", tls_ca=certificate[0]) as client:
            assert client.recommend("ann").customer_id == "ann"
        with connect(public, tls_ca=certificate[0]) as client, pytest.raises(Unauthenticated):
            client.recommend("ann")
        with connect(public, key=server.owner_key, tls_ca=certificate[0]) as client, pytest.raises(Unauthenticated):
            client.recommend("ann")  # the owner's key is for the owner's port
        for stranger in ({"tls_ca": "system"}, {}):
            lost = connect(public, key="web.s3cret.with.dots", timeout=5, **stranger)
            with lost, pytest.raises(Unavailable):
                lost.identify.record([Interaction("view")])
        assert server.owner_address.startswith("127.0.0.1:")
        assert shop.announced == (server.owner_address, server.owner_key.removeprefix("owner."))
        with connect(server.owner_address, key=server.owner_key) as owner:
            assert owner.recommend("ann").customer_id == "ann"
        for wrong in ("", "web.s3cret.with.dots"):
            with connect(server.owner_address, key=wrong) as client, pytest.raises(Unauthenticated):
                client.recommend("ann")
        credentials = grpc.ssl_channel_credentials(Path(certificate[0]).read_bytes())
        with grpc.secure_channel(public, credentials) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                list(stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")])))
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_plaintext_for_others_must_be_said(shop: Standin) -> None:
    with serve(shop, listen="0.0.0.0:0", allow_plaintext=True, allow_no_keys=True) as server:
        port = server.address.rpartition(":")[2]
        with connect(f"127.0.0.1:{port}") as client:
            assert client.recommend("ann").customer_id == "ann"
        assert server.owner_address != server.address


def refusal(shop: Standin, **settings: object) -> str:
    values = {**shop.settings.values, **settings}
    with pytest.raises(InvalidInput) as caught:
        Server(shop, Settings(values))  # type: ignore[arg-type]
    assert "\n" not in caught.value.message
    return caught.value.message


def test_what_must_not_be_served_is_refused(
    shop: Standin, certificate: tuple[str, str], keys: str, tmp_path: Path
) -> None:
    cert, key = certificate
    open_to_others = (
        "listen: is '0.0.0.0:0', which other machines can reach; set tls_cert and tls_key, or say --allow-plaintext"
    )
    no_keys = (
        "listen: is '0.0.0.0:0', which other machines can reach, and there are no keys; "
        "make one: visavis keys create --scopes ingest,decide,read, or say --allow-no-keys"
    )
    assert refusal(shop, listen="0.0.0.0:0") == open_to_others
    assert refusal(shop, listen="0.0.0.0:0", allow_no_keys=True) == open_to_others
    assert refusal(shop, listen="0.0.0.0:0", tls_cert=cert, tls_key=key) == no_keys
    assert refusal(shop, listen="0.0.0.0:0", allow_plaintext=True) == no_keys
    assert refusal(shop, listen="0.0.0.0:0", keys_file=keys) == open_to_others
    for address in ("[::]:0", "shop.example:50051", "192.0.2.1:1"):
        assert "which other machines can reach" in refusal(shop, listen=address)
    for address in ("", "localhost", ":50051", "127.0.0.1:x", "127.0.0.1:70000", "http://127.0.0.1:1", "a b:1"):
        assert refusal(shop, listen=address).startswith(f"listen: is {address!r}; give host:port")
    assert refusal(shop, tls_cert=cert) == "tls_key: is missing; TLS needs both tls_cert and tls_key"
    assert refusal(shop, tls_key=key) == "tls_cert: is missing; TLS needs both tls_cert and tls_key"
    missing = str(tmp_path / "nosuch")
    assert "cannot be read: No such file" in refusal(shop, tls_cert=missing, tls_key=key)
    assert refusal(shop, keys_file=missing) == (
        f"keys_file: is {missing!r}, which does not exist; `visavis keys create` makes it with a key"
    )


def test_keys_that_got_lost_do_not_open_the_server_at_its_next_start(shop: Standin, tmp_path: Path) -> None:
    path = keys_path(shop.settings)
    add_key(path, "web", "secret")
    with (
        serve(shop, listen="0.0.0.0:0", allow_plaintext=True) as server,
        connect(f"127.0.0.1:{server.address.rpartition(':')[2]}") as client,
        pytest.raises(Unauthenticated),
    ):
        client.recommend("ann")
    path.unlink()
    assert "and there are no keys" in refusal(shop, listen="0.0.0.0:0", allow_plaintext=True)


def test_a_port_in_use_is_refused(server: Server, shop: Standin, tmp_path: Path) -> None:
    other = Standin(tmp_path)
    with pytest.raises(InvalidInput) as caught, serve(other, listen=server.address):
        raise NotImplementedError("it must not come to this")
    assert caught.value.message == (
        f"listen: is {server.address!r}, and that cannot be had (Address already in use); stop who uses it, "
        "or give another, e.g. 127.0.0.1:0 for a free port"
    )
    assert other.announced is None


def test_a_certificate_that_is_none_is_refused(shop: Standin, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("hello")
    pem = str(tmp_path / "x.pem")
    with pytest.raises(InvalidInput, match="TLS could not be set up"), serve(shop, tls_cert=pem, tls_key=pem):
        raise NotImplementedError("it must not come to this")


def test_a_host_without_address_is_refused(shop: Standin) -> None:
    with (
        pytest.raises(InvalidInput, match=r"listen: is 'nosuch\.invalid:1', and that cannot be had"),
        serve(shop, listen="nosuch.invalid:1", allow_plaintext=True, allow_no_keys=True),
    ):
        raise NotImplementedError("it must not come to this")


def test_running_calls_get_their_grace(shop: Standin) -> None:
    shop.hold.clear()
    with ThreadPoolExecutor(1) as threads:
        with serve(shop, grace=5) as server:
            client = connect(server.address)
            waiting = threads.submit(client.identify.record, [Interaction("view")])
            until(lambda: server.running == 1)
            threading.Timer(0.1, shop.hold.set).start()
        assert waiting.result().recorded == 1
    with pytest.raises(Unavailable, match="no answer from a server at 127"):
        client.identify.record([Interaction("view")])
    client.close()


def test_long_work_is_given_up_at_its_next_report(shop: Standin) -> None:
    shop.hold.clear()

    def fit(client: Client) -> VisavisError:
        with pytest.raises(VisavisError) as caught:
            client.fit()
        return caught.value

    with ThreadPoolExecutor(1) as threads:
        with serve(shop, grace=0.05) as server:
            client = connect(server.address)
            failed = threads.submit(fit, client)
            assert shop.began.wait(10)
        # The `with` block ended although nobody let the work go on.
        assert shop.ended == ["fit given up"]
        assert isinstance(failed.result(), Unavailable)
        client.close()


def test_a_server_can_be_started_again(shop: Standin) -> None:
    for _ in range(3):
        with serve(shop) as server, connect(server.address) as client:
            assert client.recommend("ann").customer_id == "ann"


def test_several_servers_in_one_loop(shop: Standin, tmp_path: Path) -> None:
    async def both() -> set[str]:
        servers = [Server(one, Settings({**one.settings.values, "listen": "127.0.0.1:0"})) for one in shops]  # type: ignore[arg-type]
        await asyncio.gather(*(server.start() for server in servers))
        addresses = {server.address for server in servers}
        await asyncio.gather(*(server.stop(0) for server in servers))
        return addresses

    shops = [shop, Standin(tmp_path)]
    assert len(asyncio.run(both())) == 2


SCRIPT = """
import sys
from pathlib import Path
from tests.rpc.keyring import add_key
from tests.rpc.standin import Standin
from visavis.rpc.server import run
shop = Standin(Path(sys.argv[1]))
shop.settings.values.update(listen="127.0.0.1:0", shutdown_grace_s=5.0)
run(shop, lambda server: print("serving", server.address, flush=True))
print("closed", flush=True)
"""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join(str(part) for part in (root, root / "framework", root / "plugins"))
    started = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
    with started:
        yield started
        started.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_the_server_gracefully(process: subprocess.Popen[str], number: signal.Signals) -> None:
    assert process.stdout is not None
    word, address = process.stdout.readline().split()
    assert word == "serving"
    with connect(address) as client:
        assert client.recommend("ann@example.com").customer_id == "ann@example.com"
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert (out, process.returncode) == ("closed\n", 0)
    assert all(line.startswith("{") and line.endswith("}") for line in err.splitlines())
    assert '"rpc": "/visavis.api.v1.RecommendationService/Recommend", "code": "OK"' in err
    assert "ann@" not in err
