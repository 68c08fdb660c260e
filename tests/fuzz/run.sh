#!/bin/sh
# Fuzzes every target of tests/fuzz/meson.build, or those named.
# usage: tests/fuzz/run.sh SECONDS_EACH [COUNTS_FILE] [NAME…]
# New inputs go to .cache/fuzz/NAME, crashes to .cache/fuzz/crash-*; keep a crash's input as
# tests/fuzz/corpus/NAME/issue-N so that it is tried first for ever.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:?seconds for each target}
counts=${2:-/dev/null}
[ $# -ge 1 ] && shift
[ $# -ge 1 ] && shift
[ -f build-fuzz/build.ninja ] ||
    CC=clang-14 CXX=clang++-14 meson setup build-fuzz -Dfuzz=true -Db_lundef=false \
        -Db_sanitize=address,undefined >&2 </dev/null
ninja -C build-fuzz >.cache/ninja-fuzz.log 2>&1 </dev/null || {
    cat .cache/ninja-fuzz.log
    exit 1
}
[ $# -gt 0 ] || set -- $(sed -n "s/^  '\([a-z_]*\)': .*/\1/p" tests/fuzz/meson.build)
passed=0 failed=0
for name in "$@"; do
    mkdir -p ".cache/fuzz/$name" "tests/fuzz/corpus/$name"
    if "build-fuzz/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix=".cache/fuzz/crash-$name-" \
        ".cache/fuzz/$name" "tests/fuzz/corpus/$name" >".cache/fuzz/$name.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' ".cache/fuzz/$name.log")
        echo "ok     fuzz $name (${runs:-?} runs)"
        passed=$((passed + 1))
    else
        echo "FAILED fuzz $name"
        tail -60 ".cache/fuzz/$name.log"
        failed=$((failed + 1))
    fi
done
echo "$passed $failed 0" >"$counts"
[ "$failed" -eq 0 ]
