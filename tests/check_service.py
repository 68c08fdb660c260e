"""Checks that deploy/assay.service is a unit that systemd takes, and that it stays shut: systemd's own exposure
figure is at most 2.0.

usage: check_service.py SERVICE_FILE PROGRAM     exit 77 (skipped) where there is no systemd-analyze
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

LIMIT = 2.0


def verify(service, program):
    """What systemd says of the unit, with the program of this build in the place of the installed one."""
    with open(service, encoding="utf-8") as file:
        unit = file.read()
    assert "/usr/bin/assay" in unit, f"{service} starts no /usr/bin/assay"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "assay.service")
        with open(path, "w", encoding="utf-8") as out:
            out.write(unit.replace("/usr/bin/assay", os.path.abspath(program)))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip(), done.returncode


def exposure(service):
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", service]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    figure = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    assert figure, f"systemd-analyze gave no figure: {done.stdout[-500:]}{done.stderr}"
    return float(figure.group(1))


def main():
    service, program = sys.argv[1:]
    if not shutil.which("systemd-analyze"):
        print("skip: no systemd-analyze on this machine")
        return 77
    said, code = verify(service, program)
    assert code == 0 and "assay.service" not in said, said
    figure = exposure(service)
    print(f"verified; exposure {figure}, limit {LIMIT}")
    return 0 if figure <= LIMIT else 1


sys.exit(main())
