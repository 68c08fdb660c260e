"""Checks docs/security.md: each line of the checklist is there, each place exists, and so does each
test that is named, as a function, a fuzz target or a test of meson.

usage: check_security.py SOURCE
"""

import glob
import os
import re
import sys

LINES = range(1, 17)


def names_of_tests(source):
    found = set()
    for pattern, form in (
        ("tests/*/test_*.c", r"^static void (\w+)\(void \*\*state\)"),
        ("tests/integration/*.py", r"^def (\w+)\(story\):"),
        ("tests/browser/*.test.mjs", r"^export (?:async function|const) (\w+)"),
        ("tests/**/meson.build", r"test\(\s*'(\w+)'"),
        ("web/meson.build", r"test\(\s*'(\w+)'"),
    ):
        for path in glob.glob(os.path.join(source, pattern), recursive=True):
            with open(path, encoding="utf-8") as file:
                found |= set(re.findall(form, file.read(), re.MULTILINE))
    return found | {os.path.basename(p)[:-2] for p in glob.glob(os.path.join(source, "tests/fuzz/fuzz_*.c"))}


def problems(source, text):
    tests, seen = names_of_tests(source), set()
    for row in re.findall(r"^\| (\d+) \|(.*)\|$", text, re.MULTILINE):
        number, cells = int(row[0]), row[1].split(" | ")
        seen.add(number)
        _, places, named = cells
        for place in re.findall(r"`([^`]+)`", places):
            if not os.path.exists(os.path.join(source, place)):
                yield f"line {number}: there is no {place}"
        promised = re.findall(r"`(\w+)`", named)
        if not promised:
            yield f"line {number}: no test"
        for test in promised:
            if test not in tests:
                yield f"line {number}: there is no test {test}"
    for number in LINES:
        if number not in seen:
            yield f"line {number} of the checklist is missing"


def main():
    source = sys.argv[1]
    with open(os.path.join(source, "docs", "security.md"), encoding="utf-8") as file:
        text = file.read()
    assert list(problems(source, text.replace("`hardening`", "`no_such_test`"))), "the check bites"
    found = list(problems(source, text))
    print("\n".join(found) or "every promise has its tests")
    return 1 if found else 0


sys.exit(main())
