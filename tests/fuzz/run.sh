#!/bin/sh
# Fuzzes every target of tests/fuzz/meson.build, or those named.
# usage: tests/fuzz/run.sh SECONDS_EACH [COUNTS_FILE] [NAME…]
# New inputs go to .cache/fuzz/NAME, crashes to .cache/fuzz/crash-*; keep a crash's input as
# tests/fuzz/corpus/NAME/WHAT-IT-WAS so that it is tried first for ever.
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

fuzz_one() { # name: a verdict in .cache/fuzz/NAME.verdict
    mkdir -p ".cache/fuzz/$1" "tests/fuzz/corpus/$1"
    if "build-fuzz/tests/fuzz/fuzz_$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -print_final_stats=1 -verbosity=0 -artifact_prefix=".cache/fuzz/crash-$1-" \
        ".cache/fuzz/$1" "tests/fuzz/corpus/$1" >".cache/fuzz/$1.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' ".cache/fuzz/$1.log")
        echo "ok     fuzz $1 (${runs:-?} runs)"
        echo ok >".cache/fuzz/$1.verdict"
    else
        echo "FAILED fuzz $1"
        tail -60 ".cache/fuzz/$1.log"
    fi
}

# As many at once as there are processors.
mkdir -p .cache/fuzz
for name in "$@"; do rm -f ".cache/fuzz/$name.verdict"; done
at_once=$(nproc 2>/dev/null || echo 1)
waiting=
running=0
for name in "$@"; do
    fuzz_one "$name" &
    waiting="$waiting $!"
    running=$((running + 1))
    if [ "$running" -ge "$at_once" ]; then
        for pid in $waiting; do wait "$pid" || true; done
        waiting=
        running=0
    fi
done
wait
passed=0 failed=0
for name in "$@"; do
    if [ -f ".cache/fuzz/$name.verdict" ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
echo "$passed $failed 0" >"$counts"
[ "$failed" -eq 0 ]
