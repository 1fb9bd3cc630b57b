"""`visavis.connect(address)`: the same rooms and verbs as the Engine's, over gRPC, with the same errors.

Calls that find no server are repeated after a pause if that is harmless: reads, and writes that carry ids.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from visavis.client.admin import Admin
from visavis.client.customize import Customize
from visavis.client.differentiate import Differentiate
from visavis.client.identify import Identify
from visavis.client.interact import Interact
from visavis.rpc.caller import Caller


class Client:
    """The rooms of a server far away. Made by `connect`; `with`-able; safe to use from several threads."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self.address = caller.address
        self.identify = Identify(caller)
        self.differentiate = Differentiate(caller)
        self.customize = Customize(caller)
        self.interact = Interact(caller)
        self.admin = Admin(caller)
        self.recommend = self.customize.recommend
        self.similar = self.customize.similar
        self.profile = self.differentiate.profile
        self.fit = self.admin.fit

    def close(self) -> None:
        """Close the connection. A second call does nothing."""
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(
    address: str,
    *,
    key: str = "",
    tls_ca: str = "",
    tls_cert: str = "",
    tls_key: str = "",
    plaintext: bool = False,
    timeout: float = 30.0,
) -> Client:
    """A client of the server at `address` (`host:port`). It connects with the first call.

    `key` is `id.secret`. `tls_ca` is a PEM file of certificates to trust, or `system` for those of this machine; empty
    means plaintext, and then a `key` goes to this machine only, unless `plaintext` lets everybody on the way read it.
    `tls_cert` and `tls_key` are PEM files of the client's own certificate, for a server that asks for one.
    `timeout`: seconds that a call may take, repeats included; fits, imports and snapshots have none.
    Raises `InvalidInput` for an argument that cannot be used; calls raise `Unavailable` where no server answers.
    """
    tls = {"tls_ca": tls_ca, "tls_cert": tls_cert, "tls_key": tls_key}
    return Client(Caller(address, key=key, **tls, plaintext=plaintext, timeout=timeout))


__all__ = ["Admin", "Client", "Customize", "Differentiate", "Identify", "Interact", "connect"]
