"""A WebSocket client that can also do wrong; standard library only. SPDX-License-Identifier: Apache-2.0"""
import base64
import hashlib
import os
import socket
import struct
import zlib

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
WAIT_S = 20


def request(port, path="/", **headers):
    """Header names with - written __; None leaves one out."""
    all_headers = {"Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
                   "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version": "13"}
    all_headers.update({k.replace("__", "-"): v for k, v in headers.items()})
    lines = "".join(f"{k}: {v}\r\n" for k, v in all_headers.items() if v is not None)
    return f"GET {path} HTTP/1.1\r\n{lines}\r\n".encode()


def connect(port, receive_buffer=0):
    s = socket.socket()
    if receive_buffer:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    s.settimeout(WAIT_S)
    s.connect(("127.0.0.1", port))
    return s


def answer(port, data):
    """The whole answer to bytes that are no good request."""
    s = connect(port)
    s.sendall(data)
    got = b""
    while part := s.recv(65536):
        got += part
    s.close()
    return got.decode()


def masked(data, key):
    """Once masks, twice shows again."""
    pad = (key * (len(data) // 4 + 1))[:len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(data), "big")


def frame(opcode, data=b"", fin=True, mask=True, rsv=0, length=None):
    n = len(data) if length is None else length
    head = bytes([fin << 7 | rsv << 4 | opcode])
    m = mask << 7
    head += bytes([m | n]) if n < 126 else struct.pack(">BH", m | 126, n) if n < 65536 else struct.pack(">BQ", m | 127, n)
    key = os.urandom(4) if mask else b""
    return head + key + (masked(data, key) if mask else data)


def deflated(data):
    """The payload of a compressed message."""
    z = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (z.compress(data) + z.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Client:
    """tls: an ssl.SSLContext. Frames that came compressed are given inflated."""

    def __init__(self, port, path="/", receive_buffer=0, more=b"", tls=None, **headers):
        self.socket = connect(port, receive_buffer)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        self.buffer = b""
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(request(port, path, **{"Sec-WebSocket-Key": key, **headers}) + more)
        while b"\r\n\r\n" not in self.buffer:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError(self.buffer.decode())
            self.buffer += part
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        want = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
        self.deflates = b"Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n" in head + b"\r\n"
        self.compressed = 0
        if not head.startswith(b"HTTP/1.1 101 ") or f"Sec-WebSocket-Accept: {want}".encode() not in head:
            raise ConnectionError(head.decode())

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
        """The next frame: opcode, data. A server's are whole and not masked."""
        a, b = self._take(2)
        assert a & (0xB0 if self.deflates else 0xF0) == 0x80 and b < 128, (a, b)
        n = b if b < 126 else struct.unpack(">H", self._take(2))[0] if b == 126 else struct.unpack(">Q", self._take(8))[0]
        data = self._take(n)
        if a & 0x40:
            self.compressed += 1
            data = zlib.decompressobj(-15).decompress(data + b"\0\0\xff\xff")
        return a & 15, data

    def close_code(self):
        """Throws away what comes before it."""
        while True:
            opcode, data = self.frame()
            if opcode == CLOSE:
                return (struct.unpack(">H", data[:2])[0], data[2:].decode()) if data else (1005, "")

    def ended(self):
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.socket.close()
