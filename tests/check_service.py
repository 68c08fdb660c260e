"""Checks that deploy/assay.service stays shut: systemd's own exposure figure is at most 2.0.

usage: check_service.py SERVICE_FILE     exit 77 (skipped) where there is no systemd-analyze
"""

import re
import shutil
import subprocess
import sys

LIMIT = 2.0


def main():
    if not shutil.which("systemd-analyze"):
        print("skip: no systemd-analyze on this machine")
        return 77
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", sys.argv[1]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    figure = re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout)
    if not figure:
        print(f"systemd-analyze gave no figure: {done.stdout[-500:]}{done.stderr}")
        return 1
    print(f"exposure {figure.group(1)}, limit {LIMIT}")
    return 0 if float(figure.group(1)) <= LIMIT else 1


sys.exit(main())
