#!/usr/bin/python3
"""What a WebSocket server must make of each kind of frame (RFC 6455), in the order of Autobahn's cases. websocket_frames.py BUILD [PATTERN].
SPDX-License-Identifier: Apache-2.0"""
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from websocket_run import Run, case, equal, main, records
from websocket_client import BINARY, CLOSE, PING, PONG, TEXT, Client, deflated, frame

ANSWERS = "answers"  # any message is answered by one, an error or not, and the connection goes on
SILENT = "silent"
HELLO = b'{"action":"ping"}'


def play(r, name, data, want, cut, headers):
    """Sends data, in pieces when cut, and looks at what becomes of the connection."""
    c = Client(r.port, **headers)
    try:
        if cut:
            for i in range(0, len(data), cut):
                c.send(data[i:i + cut])
        else:
            c.send(data)
        if want == ANSWERS:
            equal(json.loads(c.frame()[1])["type"] in ("error", "heartbeat"), True, name)
        if want in (ANSWERS, SILENT):
            c.send(frame(PING, b"still there?"))
            got = c.frame()
            equal(got, (PONG, b"still there?"), name)
            c.send(frame(CLOSE, (1000).to_bytes(2, "big")))
            want = 1000
        elif isinstance(want, list):
            for w in want:
                equal(c.frame(), w, name)
            return
        equal(c.close_code()[0], want, name)
    except (EOFError, OSError) as e:
        raise AssertionError(f"{name}: {type(e).__name__}")
    finally:
        c.close()


def run(table, headers={}, cuts=(0,), **options):
    with Run(max__message__rate=0, max__message__size=70000, ping__interval__ms=600000, **options) as r:
        for name, (data, want) in table.items():
            for cut in cuts:
                play(r, f"{name}, in pieces of {cut or 'any size'}", data, want, cut, headers)
        good = Client(r.port)
        r.rows([(1, "a")])
        records(good, 1)
        r.end()
    print(f"   {len(table) * len(cuts)} cases")


@case
def framing():
    table = {}
    for opcode, name in ((TEXT, "text"), (BINARY, "binary")):
        for n in (0, 1, 125, 126, 127, 128, 65535, 65536):
            table[f"{name} of {n}"] = (frame(opcode, b" " * n), ANSWERS)
    for n in (70001, 1 << 20, 1 << 31, 1 << 32, (1 << 63) - 1):
        table[f"text of {n}"] = (frame(TEXT, b"x", length=n), 1009)  # its head and a byte of it, and no more
    table["text of 2^63"] = (frame(TEXT, b"x", length=1 << 63), 1002)
    for n in (0, 125):
        table[f"16 bits for {n}"] = (b"\x81\xfe" + n.to_bytes(2, "big") + b"\0\0\0\0" + b" " * n, 1002)
    for n in (0, 125, 126, 65535):
        table[f"64 bits for {n}"] = (b"\x81\xff" + n.to_bytes(8, "big") + b"\0\0\0\0" + b" " * n, 1002)
    run(table, cuts=(0, 997))


@case
def pings_and_pongs():
    table = {}
    for data in (b"", b"hello", bytes([0, 255, 254, 253]), b"\xfe" * 125):
        table[f"ping of {len(data)}"] = (frame(PING, data), [(PONG, data)])
    table["ping of 126"] = (frame(PING, b"x" * 126), 1002)
    table["pong of 126"] = (frame(PONG, b"x" * 126), 1002)
    table["ping of 16 bits"] = (b"\x89\xfe\0\x05\0\0\0\0hello", 1002)
    table["a pong unasked"] = (frame(PONG, b"x"), SILENT)
    table["a pong, a ping"] = (frame(PONG, b"x") + frame(PING, b"y"), [(PONG, b"y")])
    table["ten pings"] = (b"".join(frame(PING, b"%d" % i) for i in range(10)), [(PONG, b"%d" % i) for i in range(10)])
    table["ping in parts"] = (frame(PING, b"x", fin=False), 1002)
    table["pong in parts"] = (frame(PONG, b"x", fin=False) + frame(0, b"y"), 1002)
    run(table, cuts=(0, 1))


@case
def reserved_bits_and_opcodes():
    table = {}
    for rsv in range(1, 8):
        for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
            table[f"rsv {rsv}, opcode {opcode}"] = (frame(opcode, b"\x03\xe8", rsv=rsv), 1002)
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        for payload in (b"", b"x" * 20):
            for before in (b"", frame(TEXT, HELLO, fin=False)):
                table[f"opcode {opcode}, {len(payload)} bytes, {len(before)} before"] = (before + frame(opcode, payload), 1002)
    for opcode in (TEXT, BINARY, PING, PONG, CLOSE):
        table[f"opcode {opcode} not masked"] = (frame(opcode, b"\x03\xe8", mask=False), 1002)
    run(table)


@case
def fragments():
    first, rest = HELLO[:5], HELLO[5:]
    table = {
        "two": (frame(TEXT, first, fin=False) + frame(0, rest), ANSWERS),
        "two with a ping between": (frame(TEXT, first, fin=False) + frame(PING, b"p") + frame(0, rest), [(PONG, b"p")]),
        "empty ones": (frame(TEXT, b"", fin=False) + frame(0, b"", fin=False) + frame(0, b""), ANSWERS),
        "empty ones around": (frame(TEXT, b"", fin=False) + frame(0, HELLO, fin=False) + frame(0, b""), ANSWERS),
        "a byte each": (b"".join(frame(0 if i else TEXT, HELLO[i:i + 1], fin=i == len(HELLO) - 1) for i in range(len(HELLO))), ANSWERS),
        "a continuation of nothing": (frame(0, b"x"), 1002),
        "a continuation of nothing, not the last": (frame(0, b"x", fin=False), 1002),
        "another after the last": (frame(TEXT, first, fin=False) + frame(0, rest) + frame(0, b"x"), 1002),
        "text in text": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"x"), 1002),
        "binary in text": (frame(TEXT, b"x", fin=False) + frame(BINARY, b"x"), 1002),
        "close in text": (frame(TEXT, b"x", fin=False) + frame(CLOSE, b"\x03\xe8"), 1000),
        "too long together": (frame(BINARY, b"x" * 69999, fin=False) + frame(0, b"x", fin=False) + frame(0, b"x"), 1009),
    }
    run(table, cuts=(0, 1, 7))


VALID = ["", "κόσμε", "\u0000"[:0] + "hello", "\u07ff", "\u0800", "\ud7ff", "\ue000", "\uffff", "\ufffe", "\ufffd", "\U00010000", "\U0010ffff", "\u0080", "Hello-µ@ßöäüàá-UTF-8!!"]
INVALID = [b"\x80", b"\xbf", b"\xc0\x80", b"\xc1\xbf", b"\xc2", b"\xc2\x20", b"\xe0\x80\x80", b"\xe0\x9f\xbf", b"\xe1\x80", b"\xe1\x80\x20", b"\xed\xa0\x80", b"\xed\xbf\xbf",
           b"\xed\xad\xbf\xed\xb0\x80", b"\xf0\x80\x80\x80", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80", b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xfc\x84\x80\x80\x80\x80",
           b"\xfe", b"\xff", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited", b"\xf7\xbf\xbf\xbf"]


@case
def utf8():
    table = {}
    for text in VALID:
        data = text.encode()
        table[f"{data!r}"] = (frame(TEXT, data), ANSWERS)
        table[f"{data!r} by bytes"] = (b"".join(frame(0 if i else TEXT, data[i:i + 1], fin=False) for i in range(len(data))) + frame(0 if data else TEXT, b""), ANSWERS)
    for data in INVALID:
        table[f"{data!r}"] = (frame(TEXT, data), 1007)
        table[f"{data!r} by bytes"] = (b"".join(frame(0 if i else TEXT, data[i:i + 1], fin=False) for i in range(len(data))) + frame(0, b""), 1007)
        table[f"{data!r} is binary"] = (frame(BINARY, data), ANSWERS)
        table[f"{data!r} as a reason"] = (frame(CLOSE, b"\x03\xe8" + data), 1007)
    table["told before the message ends"] = (frame(TEXT, b"\xc0\x80", fin=False), 1007)
    run(table)


@case
def utf8_compressed():
    table = {f"{x!r}": (frame(TEXT, deflated(x.encode()), rsv=4), ANSWERS) for x in VALID}
    table.update({f"{x!r}": (frame(TEXT, deflated(x), rsv=4), 1007) for x in INVALID})
    table.update({f"{x!r} is binary": (frame(BINARY, deflated(x), rsv=4), ANSWERS) for x in INVALID})
    run(table, headers={"Sec-WebSocket-Extensions": "permessage-deflate"}, compression="deflate")


@case
def closing():
    table = {"close without a code": (frame(CLOSE), 1005), "close of one byte": (frame(CLOSE, b"\x03"), 1002),
             "close, then a ping": (frame(CLOSE, b"\x03\xe8") + frame(PING, b"x"), 1000), "close twice": (frame(CLOSE, b"\x03\xe8") * 2, 1000),
             "a long reason": (frame(CLOSE, b"\x03\xe8" + b"x" * 123), 1000), "too long a reason": (frame(CLOSE, b"\x03\xe8" + b"x" * 124), 1002)}
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        table[f"close {code}"] = (frame(CLOSE, code.to_bytes(2, "big")), code)
    for code in (0, 1, 999, 1004, 1005, 1006, 1012, 1013, 1014, 1015,  # wslay does not know the three that came after the RFC
                 1016, 1100, 2000, 2999, 5000, 65535):
        table[f"close {code}"] = (frame(CLOSE, code.to_bytes(2, "big")), 1002)
    run(table)


sys.exit(main("websocket_frames"))
