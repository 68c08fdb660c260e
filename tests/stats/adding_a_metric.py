"""Follows docs/adding-a-metric.md to the letter: writes its files, puts its lines where it says,
compiles, runs, and compares the output with what the page promises.

    adding_a_metric.py SOURCE_ROOT LIBRARY... [-- CC ARGUMENT...]
"""

import pathlib
import re
import subprocess
import sys
import tempfile


def blocks(page):
    """{kind or file name: code} of the fenced blocks; a file's name stands in the line before."""
    found = {}
    for match in re.finditer(r"(?:^`(\S+)`\n\n)?^```c ?(\w*)\n(.*?)^```$", page, re.M | re.S):
        found[match[1] or match[2]] = match[3]
    return found


def inserted(table, found):
    includes = [m.end() for m in re.finditer(r'^#include ".*"\n', table, re.M)]
    table = table[: includes[-1]] + found["include"] + table[includes[-1] :]
    kinds = table.index("};", table.index("kinds[] = {"))
    table = table[:kinds] + found["kind"] + table[kinds:]
    rows = table.index("};", table.index("table[] = {"))
    return table[:rows] + found["row"] + table[rows:]


def main(root, libraries, compiler):
    page = (root / "docs" / "adding-a-metric.md").read_text()
    found = blocks(page)
    promised = re.search(r"^It prints `(.*)`\.$", page, re.M)[1]
    with tempfile.TemporaryDirectory() as name:
        place = pathlib.Path(name)
        (place / "stats").mkdir()
        for file in ("stats/metric_overprediction.h", "stats/metric_overprediction.c"):
            (place / file).write_text(found[file])
        (place / "stats/metric_table.c").write_text(inserted((root / "stats/metric_table.c").read_text(), found))
        (place / "test.c").write_text(found["test"])
        sources = [str(place / f) for f in ("stats/metric_overprediction.c", "stats/metric_table.c", "test.c")]
        program = str(place / "test")
        flags = ["-std=gnu17", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE", "-I" + name, "-I" + str(root)]
        # Our table comes before the library's: the linker takes the first.
        links = [*libraries, "-lxxhash", "-lyaml", "-lpthread", "-lm", "-lstdc++"]
        subprocess.run([*compiler, *flags, *sources, *links, "-o", program], check=True)
        printed = subprocess.run([program], check=True, capture_output=True, text=True).stdout.strip()
    if printed != promised:
        sys.exit(f"the page promises {promised!r}, its program prints {printed!r}")
    print(printed)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    main(pathlib.Path(arguments[0]), arguments[1:split], arguments[split + 1 :] or ["cc"])
