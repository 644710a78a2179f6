/* Table of sessions found alive or dead lately, in memory shared by the processes of a machine. An entry is two words, key XOR
 * value and value: a torn or half written one has no key that anybody asks for, so there are no locks and a killed writer breaks
 * nothing. */
#include "session.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "shared_file.h"

enum { ENTRIES = 65536, WAYS = 4, SETS = ENTRIES / WAYS, DEAD_WRITES = 4 };

struct entry {
    _Atomic uint64_t mixed; /* key ^ value */
    _Atomic uint64_t value; /* checked at (monotonic ms) << 1, + 1 if dead; 0: free */
};

/* Monotonic times of another boot mean nothing: the file starts anew with each. */
struct table {
    char head[SHARED_FILE_HEAD_BYTES];
    struct entry entries[ENTRIES];
};

enum { PAGE_BYTES = 4096, TABLE_BYTES = (sizeof(struct table) + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES };

struct session_cache {
    struct table *table; /* mapped */
};

struct session_cache *session_cache_open(const char *path) {
    struct table *table = path ? shared_file_map(path, TABLE_BYTES, NULL) : shared_memory_map(TABLE_BYTES);
    if (!table && path) log_event(LOG_ERROR, "session_cache_unusable", LOG_CSTR("path", path));
    if (!table) return NULL;
    struct session_cache *c = mem_alloc(sizeof *c);
    c->table = table;
    return c;
}

void session_cache_close(struct session_cache *c) {
    if (!c) return;
    munmap(c->table, TABLE_BYTES);
    free(c);
}

/* 64 bits of the id, stirred so that no two keys differ in a few low bits only; never 0, the key of a free entry. */
static uint64_t key_of(struct uuid id) {
    uint64_t high;
    uint64_t low;
    memcpy(&high, id.bytes, sizeof high);
    memcpy(&low, id.bytes + 8, sizeof low);
    uint64_t key = (high * UINT64_C(0x9E3779B97F4A7C15)) ^ low;
    key = (key ^ (key >> 32)) * UINT64_C(0xD6E8FEB86659FD93);
    key ^= key >> 32;
    return key ? key : 1;
}

static uint64_t load(const struct entry *e, uint64_t *value) {
    uint64_t mixed = atomic_load_explicit(&e->mixed, memory_order_acquire);
    *value = atomic_load_explicit(&e->value, memory_order_acquire);
    return mixed ^ *value;
}

static struct entry *set_of(const struct session_cache *c, uint64_t key) {
    return &c->table->entries[(key >> 40) % SETS * WAYS];
}

enum session_state session_cache_get(const struct session_cache *c, struct uuid session_id, int64_t max_age_ms) {
    if (!c) return SESSION_UNKNOWN;
    uint64_t key = key_of(session_id);
    const struct entry *set = set_of(c, key);
    int64_t now_ms = clock_mono_ms();
    enum session_state state = SESSION_UNKNOWN;
    for (int i = 0; i < WAYS; i++) {
        uint64_t value;
        if (load(&set[i], &value) != key) continue;
        if (value & 1) return SESSION_DEAD;
        int64_t age_ms = now_ms - (int64_t)(value >> 1);
        if (age_ms >= 0 && age_ms < max_age_ms) state = SESSION_ALIVE;
    }
    return state;
}

/* Writes one entry, unless what stands there says DEAD of the same session already. False if another process wrote over it at once.
 */
static bool put(struct entry *set, uint64_t key, uint64_t value) {
    struct entry *to = &set[0];
    uint64_t oldest = UINT64_MAX;
    for (int i = 0; i < WAYS; i++) {
        uint64_t held;
        if (load(&set[i], &held) == key) {
            if ((held & 1) && !(value & 1)) return true;
            to = &set[i];
            break;
        }
        if (held < oldest) {
            oldest = held;
            to = &set[i];
        }
    }
    atomic_store_explicit(&to->value, value, memory_order_release);
    atomic_store_explicit(&to->mixed, key ^ value, memory_order_release);
    uint64_t seen;
    return load(to, &seen) == key && (seen & 1) >= (value & 1);
}

void session_cache_put(struct session_cache *c, struct uuid session_id, enum session_state state) {
    if (!c || state == SESSION_UNKNOWN) return;
    uint64_t key = key_of(session_id);
    bool dead = state == SESSION_DEAD;
    uint64_t value = (uint64_t)clock_mono_ms() << 1 | (dead ? 1 : 0);
    /* Being alive is found out again; that one is dead must not get lost in a race. */
    for (int tries = dead ? DEAD_WRITES : 1; tries > 0; tries--)
        if (put(set_of(c, key), key, value)) return;
}
