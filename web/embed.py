#!/usr/bin/env python3
"""Writes the page's files, gzipped, and the API's schemas as a C file.

usage: embed.py OUT.c SCHEMAS.json UPLOT_DIR FILE…   (UPLOT_DIR may not exist: no charts then)

The same input gives the same bytes: no time stamp, no path of this machine.
"""
import gzip
import os
import sys


def c_array(name, data):
    lines = [f"static const unsigned char {name}[] = {{"]
    for i in range(0, len(data), 20):
        lines.append("    " + ",".join(str(b) for b in data[i : i + 20]) + ",")
    lines.append("};")
    return "\n".join(lines)


def main(out, schemas, uplot, *files):
    page = {"/" + name.split("/ui/", 1)[1]: open(name, "rb").read() for name in sorted(files)}
    # The small build declares `var uPlot`: in a module that is a local, so it can be exported.
    vendor = {
        "/vendor/uplot.js": ("uPlot.iife.min.js", b"\nexport default uPlot;\n"),
        "/vendor/uplot.css": ("uPlot.min.css", b""),
    }
    for path, (name, tail) in vendor.items():
        source = os.path.join(uplot, name)
        if os.path.exists(source):
            page[path] = open(source, "rb").read() + tail

    parts = ["/* Written by web/embed.py; do not edit. */", '#include "web/assets.h"', ""]
    rows = []
    for i, (path, plain) in enumerate(sorted(page.items())):
        packed = gzip.compress(plain, 9, mtime=0)
        parts.append(c_array(f"file_{i}", packed))
        rows.append(f'    {{"{path}", file_{i}, sizeof(file_{i}), {len(plain)}}},')
    parts += ["const struct embedded_file embedded_files[] = {", *rows, "};"]
    parts.append(f"const size_t n_embedded_files = {len(rows)};")

    text = open(schemas, encoding="utf-8").read()
    parts.append("const char embedded_schemas[] =")
    for line in text.splitlines(keepends=True):
        quoted = line.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        parts.append(f'    "{quoted}"')
    parts[-1] += ";"
    with open(out, "w", encoding="utf-8") as file:
        file.write("\n".join(parts) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
