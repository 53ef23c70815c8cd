"""On the PYTHONPATH of a test's kernel: no machine but this one can be reached."""

import socket

_connect = socket.socket.connect


def _only_here(self: socket.socket, address: object) -> None:
    if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "localhost", "::1"):
        raise OSError(f"tests run without a network; something asked for {address[0]}")
    return _connect(self, address)


socket.socket.connect = _only_here
