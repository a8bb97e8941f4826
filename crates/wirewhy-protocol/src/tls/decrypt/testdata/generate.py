#!/usr/bin/env python3
"""Records one small TLS session per class of cipher, with its key log, between OpenSSL and itself.

Makes those named on the command line, or all. Needs openssl (3.0 or later) in PATH. Writes NAME.session next to this script: the lines of the key log, then the bytes of
the client and those of the server in hex. Every session has the line `ping` from the client, its reversal from the server,
and close_notify from both; the one named update has a KeyUpdate of the client, which asks for the server's, before a second
line `pong`, and the one named http asks for a page.
"""

import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent

TLS13 = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
         "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"]

# Name, options of both sides, lines of the client.
SESSIONS = [(f"tls13-{suite}", ["-tls1_3", "-ciphersuites", suite], ["ping"]) for suite in TLS13]
SESSIONS += [("tls13-update", ["-tls1_3", "-ciphersuites", TLS13[1]], ["ping", "K", "pong"])]
SESSIONS += [(f"{name}-{suite}{''.join(more)}", [*options, *more, "-cipher", f"{suite}:@SECLEVEL=0"], ["ping"])
             for name, options, more, suite in [
    ("tls12", ["-tls1_2"], [], "ECDHE-ECDSA-AES128-GCM-SHA256"),
    ("tls12", ["-tls1_2"], [], "ECDHE-ECDSA-AES256-GCM-SHA384"),
    ("tls12", ["-tls1_2"], [], "ECDHE-ECDSA-CHACHA20-POLY1305"),
    ("tls12", ["-tls1_2"], [], "ECDHE-ECDSA-AES128-CCM"),
    ("tls12", ["-tls1_2"], [], "ECDHE-ECDSA-AES256-CCM8"),
    ("tls12", ["-tls1_2"], [], "ECDHE-ECDSA-AES128-SHA256"),
    ("tls12", ["-tls1_2"], [], "ECDHE-ECDSA-NULL-SHA"),
    ("tls12", ["-tls1_2"], ["-no_etm"], "ECDHE-ECDSA-AES256-SHA"),
    ("tls12", ["-tls1_2"], ["-no_etm"], "ECDHE-ECDSA-AES256-SHA384"),
    ("tls11", ["-tls1_1"], [], "ECDHE-ECDSA-AES128-SHA"),
    ("tls10", ["-tls1"], ["-no_etm"], "ECDHE-ECDSA-AES128-SHA")]]

# An answer of HTTP, cut short: it announces more than it brings.
SESSIONS += [("tls13-http", ["-tls1_3", "-ciphersuites", TLS13[0]], ["GET /answer HTTP/1.0\n"])]
ANSWER = b"HTTP/1.0 503 Later\r\nContent-Length: 1000\r\n\r\nshort"


def relay(source, target, seen):
    while data := source.recv(65536):
        seen.append(data)
        target.sendall(data)
    try:
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def proxy(listener, port, sides):
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", port))
    back = threading.Thread(target=relay, args=(server, client, sides[1]))
    back.start()
    relay(client, server, sides[0])
    back.join()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(port):
    for _ in range(200):
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
    sys.exit("the server does not listen")


def record(name, options, lines, directory):
    log = directory / f"{name}.keys"
    is_http = lines[0].startswith("GET")
    port = free_port()
    server = subprocess.Popen(
        ["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", directory / "cert.pem", "-key",
         directory / "key.pem", "-HTTP" if is_http else "-rev", "-quiet", *options],
        cwd=directory,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        connect(port)
        listener = socket.create_server(("127.0.0.1", 0))
        sides = ([], [])
        relayed = threading.Thread(target=proxy, args=(listener, port, sides))
        relayed.start()
        client = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{listener.getsockname()[1]}", "-servername", "a.example",
             "-keylogfile", log, *(["-crlf"] if is_http else []), *options],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for line in [*lines, "Q"]:
            time.sleep(0.7)
            try:
                client.stdin.write(f"{line}\n".encode())
                client.stdin.flush()
            except BrokenPipeError:
                break
        client.wait(20)
        relayed.join(20)
    finally:
        server.kill()
        server.wait()
    keys = [line for line in log.read_text().splitlines() if line and not line.startswith("#")]
    texts = [b"".join(side).hex() for side in sides]
    if min(map(len, texts)) < 400:
        sys.exit(f"{name}: the session failed")
    (HERE / f"{name}.session").write_text("\n".join([*keys, "client " + texts[0], "server " + texts[1], ""]))


def main():
    with tempfile.TemporaryDirectory() as directory:
        directory = pathlib.Path(directory)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
             "/CN=a.example", "-days", "3650", "-keyout", directory / "key.pem", "-out", directory / "cert.pem"],
            check=True, stderr=subprocess.DEVNULL)
        (directory / "answer").write_bytes(ANSWER)
        for name, options, lines in SESSIONS:
            if name in (sys.argv[1:] or name):
                record(name, options, lines, directory)


main()
