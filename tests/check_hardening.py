"""Checks what the compiler and linker were asked for: PIE, RELRO with immediate binding, a stack
that cannot be executed, stack protector and fortified calls.

usage: check_hardening.py PROGRAM
"""

import re
import subprocess
import sys


def readelf(option, program):
    return subprocess.run(["readelf", "-W", option, program], capture_output=True, text=True, check=True).stdout


def main():
    program = sys.argv[1]
    header, segments = readelf("-h", program), readelf("-l", program)
    dynamic, symbols = readelf("-d", program), readelf("--dyn-syms", program)
    stack = re.search(r"GNU_STACK.*?(RWE|RW)\s", segments)
    checks = {
        "position independent": "Type:" in header and "DYN" in header,
        "RELRO": "GNU_RELRO" in segments,
        "bound at start": bool(re.search(r"BIND_NOW|FLAGS_1.*NOW", dynamic)),
        "stack not executable": bool(stack) and stack.group(1) == "RW",
        "stack protector": "__stack_chk_fail" in symbols,
        "fortified calls": bool(re.search(r"__\w+_chk(@|$|\s)", symbols.replace("__stack_chk_fail", ""))),
        "no run path": "RPATH" not in dynamic and "RUNPATH" not in dynamic,
    }
    for name, holds in checks.items():
        print(f"{'ok' if holds else 'MISSING':8} {name}")
    return 0 if all(checks.values()) else 1


sys.exit(main())
