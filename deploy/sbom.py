#!/usr/bin/env python3
"""The bill of materials of a built program, as CycloneDX 1.5 JSON on standard output.

usage: sbom.py PROGRAM VERSION

Shared libraries as the linker recorded them, each with its Debian package, exact version and the
SHA-256 of the file that is there; npm packages that are embedded, with the lock file's hash.
"""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def libraries(program):
    """[(soname, path)] of what the program names itself, not what those load in turn."""
    named = re.findall(r"\(NEEDED\).*\[(.+)\]", run("readelf", "-dW", program))
    paths = dict(re.findall(r"^\s*(\S+) => (/\S+)", run("ldd", program), re.MULTILINE))
    return [(name, os.path.realpath(paths[name])) for name in named if name in paths]


def package_of(path):
    for known in (path, path.removeprefix("/usr")):  # Debian lists both layouts
        done = subprocess.run(["dpkg", "-S", known], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.split(": ")[0].split(",")[0]
    raise SystemExit(f"sbom: no package owns {path}")


def shared_library(soname, path):
    package = package_of(path)
    name, version = run("dpkg-query", "-W", "-f", "${Package} ${Version}", package).split()
    with open(path, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    return {
        "type": "library",
        "name": name,
        "version": version,
        "purl": f"pkg:deb/debian/{name}@{version}",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "properties": [{"name": "soname", "value": soname}],
    }


def embedded_packages():
    with open(os.path.join(ROOT, "package-lock.json"), encoding="utf-8") as file:
        locked = json.load(file)["packages"]
    for path, package in sorted(locked.items()):
        if not path or package.get("dev"):
            continue
        name, version = path.removeprefix("node_modules/"), package["version"]
        algorithm, _, digest = package["integrity"].partition("-")
        yield {
            "type": "library",
            "name": name,
            "version": version,
            "purl": f"pkg:npm/{name}@{version}",
            "hashes": [{"alg": algorithm.upper().replace("SHA", "SHA-"), "content": base64.b64decode(digest).hex()}],
        }


def main():
    program, version = sys.argv[1:]
    components = [shared_library(*library) for library in libraries(program)]
    unique = {c["purl"] + c["hashes"][0]["content"]: c for c in [*components, *embedded_packages()]}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "assay", "version": version}},
        "components": sorted(unique.values(), key=lambda c: (c["purl"], c["hashes"][0]["content"])),
    }
    json.dump(bill, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
