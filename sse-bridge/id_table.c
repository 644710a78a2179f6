#include "id_table.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "random.h"

enum { SLOTS_MIN = 16 };

/* Multiply and fold, over both halves: each bit of the id and of the secret reaches the low bits. */
static uint64_t hash(struct uuid id) {
    static uint64_t secret[2];
    uint64_t half[2];
    if (!secret[0]) random_bytes(secret, sizeof secret);
    memcpy(half, id.bytes, sizeof half);
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(half[0] ^ secret[0]) * (half[1] ^ secret[1] ^ UINT64_C(0x9E3779B97F4A7C15));
    uint64_t folded = (uint64_t)product ^ (uint64_t)(product >> 64);
    return (folded ^ half[0]) * UINT64_C(0x9E3779B97F4A7C15) >> 16;
}

static struct id_entry **slot_of(const struct id_table *t, struct uuid id) {
    return &t->slots[hash(id) & (t->slot_count - 1)];
}

void id_table_fini(struct id_table *t) {
    free(t->slots);
    *t = (struct id_table){0};
}

struct id_entry *id_table_find(const struct id_table *t, struct uuid id) {
    if (t->count == 0) return NULL;
    struct id_entry *e = *slot_of(t, id);
    while (e && !uuid_eq(e->id, id)) e = e->next;
    return e;
}

static void grow(struct id_table *t) {
    struct id_table grown = {.slot_count = t->slot_count ? t->slot_count * 2 : SLOTS_MIN};
    grown.slots = mem_zalloc(grown.slot_count * sizeof(struct id_entry *));
    for (size_t i = 0; i < t->slot_count; i++) {
        for (struct id_entry *e = t->slots[i], *next; e; e = next) {
            struct id_entry **slot = slot_of(&grown, e->id);
            next = e->next;
            e->next = *slot;
            *slot = e;
        }
    }
    free(t->slots);
    t->slots = grown.slots;
    t->slot_count = grown.slot_count;
}

void id_table_add(struct id_table *t, struct id_entry *e) {
    if (t->count >= t->slot_count) grow(t);
    struct id_entry **slot = slot_of(t, e->id);
    e->next = *slot;
    *slot = e;
    t->count++;
}

void id_table_remove(struct id_table *t, struct id_entry *e) {
    struct id_entry **at = slot_of(t, e->id);
    while (*at != e) at = &(*at)->next;
    *at = e->next;
    t->count--;
}

struct id_entry *id_table_next(const struct id_table *t, const struct id_entry *after) {
    if (after && after->next) return after->next;
    if (t->count == 0) return NULL;
    for (size_t i = after ? (size_t)(slot_of(t, after->id) - t->slots) + 1 : 0; i < t->slot_count; i++) {
        if (t->slots[i]) return t->slots[i];
    }
    return NULL;
}
