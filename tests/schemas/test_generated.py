#!/usr/bin/env python3
"""schemas/config.schema.json and the table of docs/configuration.md are what the table of keys says.

usage: test_generated.py VERDICT SOURCE [--update]

`--update` writes both files anew.
"""

import os
import subprocess
import sys

START, END = "<!-- keys: written by tests/schemas/test_generated.py --update -->\n", "<!-- end of keys -->\n"


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def main():
    verdict, source = sys.argv[1:3]
    docs = os.path.join(source, "docs", "configuration.md")
    old = read(docs)
    table = subprocess.run([verdict, "markdown"], check=True, capture_output=True, text=True).stdout
    schema = subprocess.run([verdict, "schema"], check=True, capture_output=True, text=True).stdout
    before, rest = old.split(START)
    after = rest.split(END)[1]
    wanted = {
        docs: before + START + table + END + after,
        os.path.join(source, "schemas", "config.schema.json"): schema,
    }
    stale = [path for path, text in wanted.items() if not os.path.exists(path) or read(path) != text]
    if "--update" in sys.argv:
        for path in stale:
            with open(path, "w", encoding="utf-8") as file:
                file.write(wanted[path])
        return 0
    for path in stale:
        print(f"{os.path.relpath(path, source)} is not what common/config_keys.c says; write it anew with\n"
              f"    python3 tests/schemas/test_generated.py {os.path.relpath(verdict, source)} . --update")
    return len(stale) > 0


if __name__ == "__main__":
    sys.exit(main())
