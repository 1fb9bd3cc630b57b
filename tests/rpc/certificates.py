"""Real certificates for tests: an authority, and what it signs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_PEM = serialization.Encoding.PEM


class Authority:
    """Signs certificates for this machine. `ca` is the file to trust."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.ca = str(folder / f"{name}.pem")
        Path(self.ca).write_bytes(self._sign(self._name, self._key, 1, ca=True))

    def sign(self, name: str, serial: int = 2) -> tuple[str, str]:
        """Files of a new certificate and of its key; another of the same name is replaced, each by a rename."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        paths = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        for path, data in zip(paths, (self._sign(subject, key, serial, ca=False), private), strict=True):
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.rename(path)
        return str(paths[0]), str(paths[1])

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, serial: int, *, ca: bool) -> bytes:
        now = datetime.now(UTC)
        names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))])
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(serial)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(names, critical=False)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return made.public_bytes(_PEM)


__all__ = ["Authority"]
