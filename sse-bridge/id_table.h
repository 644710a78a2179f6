/* Table by ids, for things that carry their entry in themselves: no memory but the slots. Ids may be chosen by clients: the hash is
 * keyed by a secret of the process. */
#ifndef MOPL_BRIDGE_ID_TABLE_H
#define MOPL_BRIDGE_ID_TABLE_H

#include <stddef.h>

#include "uuid.h"

/* Embedded in the thing; `id` is set before it is added, and stays. */
struct id_entry {
    struct id_entry *next;
    struct uuid id;
};

struct id_table {
    struct id_entry **slots; /* NULL while nothing was ever in it */
    size_t slot_count;       /* a power of two */
    size_t count;
};

/* Begins zeroed. Frees the slots; the things are their owner's. */
void id_table_fini(struct id_table *t);
/* NULL if there is none of that id. */
struct id_entry *id_table_find(const struct id_table *t, struct uuid id);
/* The id is not in the table yet. */
void id_table_add(struct id_table *t, struct id_entry *e);
/* It is in the table. */
void id_table_remove(struct id_table *t, struct id_entry *e);
/* Walks all, in no order: NULL begins, and NULL ends. Of the table only the entry that was given last may be removed meanwhile, and
 * then only after the next one was asked for. Nothing may be added. */
struct id_entry *id_table_next(const struct id_table *t, const struct id_entry *after);

#endif
