"""What ``--cluster`` takes, who can reach a cluster, and that nothing of it is left."""

import contextlib
import datetime
import ipaddress
import os
import signal
import subprocess
import sys
import time
import warnings
from types import SimpleNamespace

import pytest

from tfreg.cohort import clusters
from tfreg.errors import InputError, InputWarning

pytest.importorskip("distributed", reason="needs tfreg[cluster]")


def double(number):
    return 2 * number


def sockets(process):
    """The addresses on which a process and its children listen."""
    return {
        connection.laddr.ip
        for one in (process, *process.children(recursive=True))
        for connection in one.net_connections("tcp")
        if connection.status == "LISTEN"
    }


def test_a_local_cluster_listens_to_this_machine_alone(client):
    import psutil

    assert client.submit(double, 4).result(timeout=120) == 8
    assert len(client.nthreads()) == 2 and set(client.nthreads().values()) == {1}
    assert sockets(psutil.Process()) == {"127.0.0.1"}
    assert client.dashboard_link.startswith("http://127.0.0.1:")


def test_a_worker_that_dask_gave_up_is_replaced(monkeypatch):
    """Where starting it again takes longer than Dask waits, as on a busy machine."""
    monkeypatch.setattr(clusters, "_KEEP", 0.5)
    monkeypatch.setitem(clusters.CONFIG, "distributed.deploy.lost-worker-timeout", "10ms")
    with clusters.opened("local:1") as client:
        lost = client.submit(os.getpid).result(timeout=120)
        os.kill(lost, signal.SIGKILL)
        assert client.submit(os.getpid, pure=False).result(timeout=120) != lost


def test_processes_that_are_slow_to_end_are_no_failure(monkeypatch):
    import distributed

    closed = []

    def close(timeout):
        closed.append(timeout)
        raise TimeoutError

    client = contextlib.nullcontext("client")
    monkeypatch.setattr(distributed, "Client", lambda *_, **__: client)
    cluster = SimpleNamespace(close=close)
    monkeypatch.setattr(distributed, "LocalCluster", lambda **_: cluster)
    with clusters.opened("local:1") as found:
        assert found == "client"
    assert closed == [60.0]


@pytest.mark.parametrize(
    ("where", "more", "message"),
    [
        ("local:0", {}, "--cluster must be local:N"),
        ("local", {}, "--cluster must be local:N"),
        ("http://host", {}, "--cluster must be local:N"),
        ("none.yaml", {}, "cannot be read"),
        ("tcp://127.0.0.1:1", {"memory_gib": 1.0}, "--worker-memory-gib is for"),
        ("local:2", {"tls": "x.yaml"}, "--cluster-tls is for the address"),
        ("tls://127.0.0.1:1", {}, "needs --cluster-tls"),
        ("tcp://127.0.0.1:1", {"tls": "x.yaml"}, "needs --cluster-tls"),
    ],
)
def test_what_is_no_cluster(tmp_path, monkeypatch, where, more, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message), clusters.opened(where, **more):
        pass


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "must be Dask's configuration"),
        ("a: [", "is not YAML"),
        ("jobqueue: {queue: {cores: 1}}", "must name one queue.*Received: none"),
        ("jobqueue: {slurm: {}, pbs: {}}", "must name one queue.*Received: slurm, pbs"),
        ("jobqueue: {slurm: {cores: 1, memory: 1GB}}", "how many workers to ask for at most"),
    ],
)
def test_files_of_queues_that_cannot_be_used(tmp_path, text, message):
    path = tmp_path / "queue.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=message), clusters.opened(str(path)):
        pass


def test_a_scheduler_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(clusters, "_CONNECT", 1.0)
    with (
        pytest.raises(InputError, match=r"No scheduler answers at tcp://127\.0\.0\.1:1"),
        clusters.opened("tcp://127.0.0.1:1"),
    ):
        pass


def test_a_scheduler_open_to_others_is_warned_of(monkeypatch):
    monkeypatch.setattr(clusters, "_CONNECT", 0.2)
    with (
        pytest.warns(InputWarning, match="without TLS"),
        pytest.raises(InputError),
        clusters.opened("tcp://192.0.2.1:8786"),  # an address that is nobody's
    ):
        pass
    assert clusters._loopback("tcp://localhost:8786") and clusters._loopback("tcp://[::1]:8786")
    assert not clusters._loopback("tcp://192.0.2.1:8786")


@pytest.fixture
def certificates(tmp_path):
    """An authority, and a key and a certificate that it signed; the YAML file that names them."""
    x509 = pytest.importorskip("cryptography.x509", reason="makes certificates")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(name, key, issuer, by, authority):
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(by, hashes.SHA256())
        )

    def name(text):
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    def made(folder):
        folder.mkdir()
        root, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        ca = certificate(name("authority"), root, name("authority"), root, True)
        leaf = certificate(name("127.0.0.1"), key, name("authority"), root, False)
        pem = serialization.Encoding.PEM
        (folder / "ca.pem").write_bytes(ca.public_bytes(pem))
        (folder / "cert.pem").write_bytes(leaf.public_bytes(pem))
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                pem,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        both = f"{{key: {folder}/key.pem, cert: {folder}/cert.pem}}"
        path = folder / "tls.yaml"
        path.write_text(
            "distributed: {comm: {require-encryption: true, tls: {"
            f"ca-file: {folder}/ca.pem, scheduler: {both}, worker: {both}, client: {both}}}}}}}\n"
        )
        return path

    return made


@pytest.mark.long
def test_a_scheduler_by_tls(tmp_path, certificates):
    ours, theirs = certificates(tmp_path / "ours"), certificates(tmp_path / "theirs")
    place = ours.parent
    words = [
        *("--host", "tls://127.0.0.1:0", "--no-dashboard", "--scheduler-file", tmp_path / "where"),
        *("--tls-ca-file", place / "ca.pem", "--tls-cert", place / "cert.pem"),
        *("--tls-key", place / "key.pem"),
    ]
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", *map(str, words)]
    scheduler = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "where").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        import json

        address = json.loads((tmp_path / "where").read_text())["address"]
        assert address.startswith("tls://127.0.0.1:")
        with warnings.catch_warnings():
            warnings.simplefilter("error", InputWarning)
            with clusters.opened(address, str(ours)) as client:
                assert client.nthreads() == {}
        for wrong, tls in ((address, theirs), (address.replace("tls", "tcp"), None)):
            with (
                pytest.raises(InputError, match="No scheduler answers"),
                clusters.opened(wrong, None if tls is None else str(tls)),
            ):
                pass
    finally:
        scheduler.terminate()
        scheduler.wait(timeout=60)


@pytest.mark.long
def test_workers_of_a_queue(tmp_path):
    """dask-jobqueue's own kind for trying: its jobs are processes of this machine."""
    pytest.importorskip("dask_jobqueue", reason="needs tfreg[cluster]")
    path = tmp_path / "queue.yaml"
    path.write_text(
        "jobqueue: {local: {cores: 1, memory: 2GB, processes: 1, interface: lo, "
        f"local-directory: {tmp_path}, log-directory: null, job-extra-directives: []}}}}\n"
        "distributed: {adaptive: {minimum: 1, maximum: 1}}\n"
    )
    with clusters.opened(str(path)) as client:
        assert client.submit(abs, -4).result(timeout=180) == 4
