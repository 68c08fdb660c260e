/*
 * The n-th allocation fails: ours (linked with --wrap, see tests/meson.build) and SQLite's.
 *
 * Shape    fault_malloc_sqlite before the first use of SQLite, once; fault_malloc_at(n) makes the
 *          n-th allocation from now on fail, once; 0: none
 * Threads  one sets it; allocations of any count
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

void fault_malloc_sqlite(void);
void fault_malloc_at(int64_t n);
void fault_malloc_pause(bool paused); /* allocations meanwhile neither fail nor count */
bool fault_malloc_has_failed(void);
int64_t fault_malloc_count(void); /* allocations since fault_malloc_at */
