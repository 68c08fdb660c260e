#!/usr/bin/env python3
"""TLS of a running server, with OpenSSL as the foreign client: versions, names, tokens.

usage: check_tls.py PAGE_SERVER
"""
import hashlib
import http.client
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import warnings

TOKEN = "a-token-of-this-test"


def make_certificate(folder, name):
    cert, key = os.path.join(folder, f"{name}.pem"), os.path.join(folder, f"{name}.key")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-keyout", key, "-out", cert, "-subj", "/CN=assay.example",
         "-addext", "subjectAltName=DNS:assay.example,DNS:localhost"],
        check=True, capture_output=True,
    )
    return cert, key


def client(cert, low, high):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
        context = ssl.create_default_context(cafile=cert)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = low, high
    return context


def ask(port, context, headers):
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
    try:
        connection.request("GET", "/api/v1/models", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer, connection.sock.version() if connection.sock else None
    finally:
        connection.close()


def check(port, cert):
    v = ssl.TLSVersion
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    for low, high in ((v.TLSv1_2, v.TLSv1_2), (v.TLSv1_3, v.TLSv1_3)):
        answer, _ = ask(port, client(cert, low, high), bearer)
        assert answer.status == 200, answer.status
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    for old in (v.TLSv1, v.TLSv1_1):
        try:
            ask(port, client(cert, old, old), bearer)
            raise AssertionError(f"{old} was spoken")
        except (ssl.SSLError, ConnectionError):
            pass
    today = client(cert, v.TLSv1_2, v.TLSv1_3)
    assert ask(port, today, {})[0].status == 401
    assert ask(port, today, {"Authorization": "Bearer wrong"})[0].status == 401
    assert ask(port, today, {**bearer, "Host": "assay.example"})[0].status == 200
    assert ask(port, today, {**bearer, "Host": "evil.example"})[0].status == 421


def main(program):
    if not shutil.which("openssl"):
        print("SKIP: no openssl command to make a certificate with")
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(folder, "server")
        _, other_key = make_certificate(folder, "other")
        tokens = os.path.join(folder, "tokens.txt")
        with open(tokens, "w", encoding="utf-8") as file:
            file.write(f"test:read:{hashlib.sha256(TOKEN.encode()).hexdigest()}:never\n")
        arguments = [program, "--hours", "1", "--tokens", tokens, "--tls-cert", cert]

        wrong = subprocess.run(arguments + ["--tls-key", other_key], capture_output=True, text=True)
        assert wrong.returncode != 0
        assert f"http.tls.key: {other_key} is not the key of {cert}" in wrong.stdout + wrong.stderr, wrong

        server = subprocess.Popen(
            arguments + ["--tls-key", key], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            url = server.stdout.readline().strip()
            assert url.startswith("https://127.0.0.1:"), url
            check(int(url.rsplit(":", 1)[1]), cert)
        finally:
            server.stdin.close()
            server.wait(20)


if __name__ == "__main__":
    main(sys.argv[1])
