"""Checks the include arrows between the rooms: an upper room may use a lower one, never the reverse.

    cli -> {collector, abtest, alerts, web} -> storage -> stats -> common

usage: check_arrows.py [ROOT]     prints "file:line: …" for each arrow that points the wrong way
       check_arrows.py --bites    checks the check itself on trees made to be wrong
"""

import os
import re
import sys
import tempfile

FLOOR = {"common": 0, "stats": 1, "storage": 2, "collector": 3, "abtest": 3, "alerts": 3, "web": 3, "cli": 4}
INCLUDE = re.compile(r'^\s*#\s*include\s*["<]([^">]+)[">]')


def room_of(path):
    first = os.path.normpath(path).split(os.sep)[0]
    return first if first in FLOOR else None


def wrong_arrow(upper, lower):
    """Why `upper` may not include `lower`, or None when it may."""
    if upper == lower or FLOOR[lower] < FLOOR[upper]:
        return None
    if FLOOR[lower] == FLOOR[upper]:
        return f"{lower} is a sibling of {upper}: join them by a callback that cli wires, or through storage"
    return f"{lower} stands above {upper}"


def check(root):
    """One line for each include that breaks an arrow."""
    found = []
    for room in sorted(FLOOR):
        for folder, folders, files in os.walk(os.path.join(root, room)):
            folders.sort()
            for name in sorted(files):
                if not name.endswith((".c", ".cc", ".cpp", ".h", ".hh", ".inc")):
                    continue
                path = os.path.join(folder, name)
                shown = os.path.relpath(path, root)
                with open(path, encoding="utf-8", errors="replace") as text:
                    for number, line in enumerate(text, 1):
                        match = INCLUDE.match(line)
                        if not match:
                            continue
                        target = match.group(1)
                        beside = os.path.relpath(os.path.join(folder, target), root)
                        other = room_of(target) or room_of(beside)
                        reason = other and wrong_arrow(room, other)
                        if reason:
                            found.append(f"{shown}:{number}: {room} includes {target}: {reason}")
    return found


def bites():
    """Trees with one wrong include each; the check must name file, line and both rooms."""
    cases = [
        ("common/a.c", "\n#include <stdio.h>\n#include \"stats/metric.h\"\n", "common/a.c:3: common includes stats/metric.h: stats stands above"),
        ("stats/a.h", '#include "storage/store.h"\n', "stats/a.h:1: stats includes storage/store.h: storage stands above"),
        ("storage/a.c", '#include "web/server.h"\n', "storage/a.c:1: storage includes web/server.h: web stands above"),
        ("collector/a.cc", '#  include "web/server.h"\n', "collector/a.cc:1: collector includes web/server.h: web is a sibling"),
        ("alerts/deep/a.c", '#include "../../abtest/ramp.h"\n', "alerts/deep/a.c:1: alerts includes ../../abtest/ramp.h: abtest is a sibling"),
        ("web/a.c", "#include <cli/serve.h>\n", "web/a.c:1: web includes cli/serve.h: cli stands above"),
    ]
    fine = [
        ("cli/serve.c", '#include "web/server.h"\n#include "collector/collect.h"\n#include "common/err.h"\n'),
        ("storage/store.c", '#include "store.h"\n#include "stats/metric.h"\n#include "storage/commit.h"\n'),
        ("web/api.c", '/* #include "cli/serve.h" would point upwards */\n#include <jansson.h>\n'),
    ]
    wrong = 0
    for path, text, expected in cases + [(path, text, None) for path, text in fine]:
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.join(root, os.path.dirname(path)))
            with open(os.path.join(root, path), "w", encoding="utf-8") as out:
                out.write(text)
            found = check(root)
        good = found == [] if expected is None else len(found) == 1 and found[0].startswith(expected)
        if not good:
            wrong += 1
            print(f"{path}: expected {expected or 'nothing'}, got {found}")
    return wrong


def main():
    if sys.argv[1:] == ["--bites"]:
        return 1 if bites() else 0
    if len(sys.argv) > 2:
        print(__doc__, file=sys.stderr)
        return 2
    found = check(sys.argv[1] if len(sys.argv) == 2 else os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    print("\n".join(found) if found else "every include points downwards")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
