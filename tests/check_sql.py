"""Checks that SQL is only static text: no statement is put together while the program runs, values
are always bound, and nothing loads an extension or starts a shell.

usage: check_sql.py SOURCE
"""

import os
import re
import subprocess
import sys

# The last place of SQL that is a variable must be one of these: statics, or a function's own text.
FORBIDDEN = {
    r"sqlite3_(v?m|vs?n)printf": "SQL must not be put together",
    r"sqlite3_load_extension|enable_load_extension": "extensions stay off",
    r"\b(system|popen|execl[pe]?|execv[pe]?|execvpe|posix_spawnp?)\s*\(": "no program is run",
}
TEXT = re.compile(r"\b(?:SELECT|INSERT|UPDATE|DELETE)\b[^;]*%(?:s|d|l|z|\")")


def problems(path, text):
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    for pattern, why in FORBIDDEN.items():
        for match in re.finditer(pattern, code):
            if not re.search(rf"(static|int|struct)\s[\w *]*{re.escape(match.group(0))}", code):
                yield f"{path}: {match.group(0)} … {why}"
    for literal in re.findall(r'(?:"(?:[^"\\\n]|\\.)*"\s*)+', code):
        if TEXT.search(literal):
            yield f"{path}: SQL with a conversion of printf: {literal[:80]}"


def main():
    source = sys.argv[1]
    listed = subprocess.run(["git", "-C", source, "ls-files", "*.c", "*.cc", "*.h"], capture_output=True, text=True, check=False)
    if listed.returncode:
        print("skip: not a git checkout")
        return 77
    rooms = ("abtest", "alerts", "cli", "collector", "common", "stats", "storage", "web")
    found, n = [], 0
    for path in listed.stdout.split():
        if path.split("/")[0] in rooms and os.path.exists(os.path.join(source, path)):
            n += 1
            with open(os.path.join(source, path), encoding="utf-8") as file:
                found += problems(path, file.read())
    assert list(problems("x.c", 'sqlite3_mprintf("SELECT %Q", a)')), "the check bites"
    assert list(problems("x.c", 'snprintf(sql, n, "DELETE FROM t WHERE a = " "%s", a)')), "the check bites"
    print("\n".join(found) or f"{n} files: SQL is static")
    return 1 if found else 0


sys.exit(main())
