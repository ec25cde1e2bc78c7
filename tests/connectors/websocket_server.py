"""A WebSocket server that can also do wrong; standard library only. SPDX-License-Identifier: Apache-2.0"""
import base64
import hashlib
import socket
import ssl
import struct

from websocket_client import CLOSE, WAIT_S, masked

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Peer:
    """One connection that was accepted."""

    def __init__(self, s):
        s.settimeout(WAIT_S)
        self.socket = s
        self.buffer = b""
        self.headers = {}
        self.keys = []  # masks of the frames that came

    def request(self):
        """Reads it; its first line."""
        while b"\r\n\r\n" not in self.buffer:
            part = self.socket.recv(65536)
            if not part:
                raise EOFError
            self.buffer += part
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        self.headers = {k.lower(): v.strip() for k, v in (x.split(":", 1) for x in lines)}
        return first

    def accept_key(self):
        return base64.b64encode(hashlib.sha1((self.headers["sec-websocket-key"] + MAGIC).encode()).digest()).decode()

    def open(self, more=b"", headers="", accept=None):
        """Answers 101; `more` goes out together with the answer."""
        self.first = self.request()
        self.socket.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Accept: {accept or self.accept_key()}\r\n{headers}\r\n".encode() + more)
        return self

    def send(self, data):
        self.socket.sendall(data)

    def _take(self, n):
        while len(self.buffer) < n:
            part = self.socket.recv(1 << 20)
            if not part:
                raise EOFError
            self.buffer += part
        got, self.buffer = self.buffer[:n], self.buffer[n:]
        return got

    def frame(self):
        """The next frame: opcode, data. A client's are whole and masked."""
        a, b = self._take(2)
        assert a & 0xF0 == 0x80 and b >= 128, (a, b)
        n = b & 127
        n = n if n < 126 else struct.unpack(">H", self._take(2))[0] if n == 126 else struct.unpack(">Q", self._take(8))[0]
        self.keys.append(self._take(4))
        return a & 15, masked(self._take(n), self.keys[-1])

    def close_code(self):
        """Throws away what comes before it."""
        while True:
            opcode, data = self.frame()
            if opcode == CLOSE:
                return (struct.unpack(">H", data[:2])[0], data[2:].decode()) if data else (1005, "")

    def ended(self):
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionResetError:
            return True

    def reset(self):
        """Ends it as a machine that has crashed would."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self):
        self.socket.close()


class Server:
    def __init__(self, certificate=None, key=None, port=0, receive_buffer=0):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.bind(("127.0.0.1", port))
        self.socket.listen(64)
        self.socket.settimeout(WAIT_S)
        self.port = self.socket.getsockname()[1]
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.load_cert_chain(certificate, key)

    def url(self, path="/"):
        return f"ws{'s' if self.tls else ''}://127.0.0.1:{self.port}{path}"

    def accept(self):
        s, _ = self.socket.accept()
        if self.tls:
            s.settimeout(WAIT_S)
            s = self.tls.wrap_socket(s, server_side=True)
        return Peer(s)

    def open(self, **how):
        return self.accept().open(**how)

    def answer(self, text):
        """Answers the next request by these bytes and hangs up."""
        p = self.accept()
        p.request()
        p.send(text.encode())
        p.socket.shutdown(socket.SHUT_WR)
        p.ended()
        p.close()

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
