#!/usr/bin/env python3
"""Writes the numbered migrations (sql/NNN_name.sql) as a C file: embed_sql.py OUT.c IN.sql…"""

import pathlib
import re
import sys


def c_string(text):
    lines = []
    for line in text.splitlines(keepends=True):
        escaped = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        lines.append(f'     "{escaped}"')
    return "\n".join(lines)


def main(out, *sources):
    rows = []
    for number, source in enumerate(sorted(map(pathlib.Path, sources)), start=1):
        match = re.fullmatch(r"(\d{3})_(\w+)\.sql", source.name)
        if not match or int(match[1]) != number:
            sys.exit(f"{source}: expected the name {number:03}_NAME.sql")
        rows.append(f'    {{{number}, "{match[2]}",\n{c_string(source.read_text("utf-8"))}}},')
    pathlib.Path(out).write_text(
        '/* Made by storage/embed_sql.py from storage/sql. */\n'
        '#include "storage/migrate.h"\n\n'
        "const struct migration migrations[] = {\n" + "\n".join(rows) + "\n};\n"
        f"const int n_migrations = {len(rows)};\n",
        "utf-8",
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
