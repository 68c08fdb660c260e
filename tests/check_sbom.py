"""Checks the bill of materials of the built program: every library that it names is in it by exact
version and hash, and so is what the page embeds; and the package asks for libraries without known
holes.

usage: check_sbom.py SOURCE PROGRAM     exit 77 (skipped) where libraries are no Debian packages
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

# Security updates that must be there: failure matrix, security checklist.
FLOORS = {
    "libcurl4": "7.88.1-10+deb12u15",
    "libgnutls30": "3.7.9-2+deb12u7",
    "libmicrohttpd12": "0.9.75-6",
    "libsqlite3-0": "3.40.1-2+deb12u2",
}


def main():
    source, program = sys.argv[1:]
    if not shutil.which("dpkg-query"):
        print("skip: no dpkg-query on this machine")
        return 77
    script = os.path.join(source, "deploy", "sbom.py")
    bill = json.loads(subprocess.run([sys.executable, script, program, "1"], capture_output=True, check=True).stdout)
    by_soname = {p["value"]: c for c in bill["components"] for p in c.get("properties", [])}
    dynamic = subprocess.run(["readelf", "-dW", program], capture_output=True, text=True, check=True).stdout
    for soname in re.findall(r"\(NEEDED\).*\[(.+)\]", dynamic):
        if soname.startswith(("ld-linux", "libasan", "libubsan", "libtsan")):
            continue
        package, version = by_soname[soname]["name"], by_soname[soname]["version"]
        said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True, check=True)
        assert version == said.stdout, (package, version, said.stdout)
        assert re.fullmatch("[0-9a-f]{64}", by_soname[soname]["hashes"][0]["content"]), soname
    page = [c for c in bill["components"] if c["purl"].startswith("pkg:npm/")]
    assert [c["name"] for c in page] == ["uplot"], page
    assert len(page[0]["hashes"][0]["content"]) == 2 * hashlib.sha512().digest_size
    with open(os.path.join(source, "deploy", "make-deb.sh"), encoding="utf-8") as file:
        control = file.read()
    for package, floor in FLOORS.items():
        assert f"{package} (>= {floor})" in control, (package, floor)
    print(f"{len(bill['components'])} components")
    return 0


sys.exit(main())
