/* The indices of the search engine: what they hold, and how documents come into them. Each kind has an alias "PREFIX-KIND" that
 * searches and updates go to, and while an index is being built a second one, "PREFIX-KIND-building", for the new index.
 * Documents are written under external versions (SEARCH_VERSION): a state read earlier never replaces one read later, whoever comes
 * first. No write creates an index: what is to go into a missing one is dropped, because whoever builds it reads everything. */
#ifndef MOPL_SEARCH_INDEX_H
#define MOPL_SEARCH_INDEX_H

#include "buf.h"
#include "db.h"
#include "elastic.h"

enum search_kind { SEARCH_CONTENTS, SEARCH_PLAYLISTS, SEARCH_KINDS };

/* "contents", "playlists" */
extern const char *const search_kinds[SEARCH_KINDS];

/* A number that grows with what a statement sees: of two statements whose snapshots differ, the later one has the greater. (A
 * snapshot is given by its xmax, which never falls, and by the transactions below it that still run, which become fewer while xmax
 * stays.) */
#define SEARCH_VERSION                                                      \
    "(SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint * 65536" \
    " - (SELECT count(*) FROM pg_snapshot_xip(pg_current_snapshot())))"

/* What is indexed of contents row alias `c` and playlists row alias `p`. */
#define SEARCH_CONTENT_COLUMNS(c) \
    c ".id, " c ".title, " c ".description, " c ".type, " c ".created_at, " c ".average_rating, " c ".watcher_count, " c ".tags"
#define SEARCH_PLAYLIST_COLUMNS(p) p ".id, " p ".title, " p ".description, " p ".owner_id, " p ".updated_at, " p ".subscriber_count"

/* Fingerprint of a row's indexed columns, which begin at `first`, as the document keeps it. */
int64_t search_fingerprint(enum search_kind kind, const struct db_rows *rows, int row, int first);

/* Documents on their way. */
struct search_bulk {
    struct elastic *elastic; /* borrowed */
    struct arena *arena;
    struct buf body;
    size_t count;
    struct buf removals[SEARCH_KINDS][2]; /* apart: the engine would make an index only to delete from it */
    size_t removal_counts[SEARCH_KINDS][2];
};
void search_bulk_init(struct search_bulk *b, struct elastic *e, struct arena *a);
void search_bulk_fini(struct search_bulk *b);
/* The row's document, into the alias of its kind or the one of the index being built. */
void search_bulk_put(struct search_bulk *b, enum search_kind kind, bool building, int64_t version, const struct db_rows *rows,
                     int row, int first);
void search_bulk_remove(struct search_bulk *b, enum search_kind kind, bool building, int64_t version, struct uuid id);

struct search_bulk_result {
    int64_t written; /* or removed */
    int64_t stale;   /* the index had the same or a newer version */
    int64_t missing; /* there was no such index */
    int64_t refused; /* the engine will never take it (logged) */
};
/* Sends and empties it; one without documents is nothing to send. RC_UNAVAILABLE: not everything could be written now; all
 * of it may be sent again. */
MUST_CHECK enum rc search_bulk_send(struct search_bulk *b, struct search_bulk_result *result);

/* Building an index. */

/* Makes a new index under the building alias, removing what an earlier build may have left there. `*name` is the arena's. */
MUST_CHECK enum rc search_index_create(struct elastic *e, struct arena *a, enum search_kind kind, const char **name);
/* What has become of an index of that name. */
enum search_index_state { SEARCH_INDEX_GONE, SEARCH_INDEX_BUILDING, SEARCH_INDEX_LIVE };
MUST_CHECK enum rc search_index_state(struct elastic *e, struct arena *a, enum search_kind kind, const char *name,
                                      enum search_index_state *state);
/* Makes all its documents visible and then moves the alias to it at once; removes the index it stood for. */
MUST_CHECK enum rc search_index_publish(struct elastic *e, struct arena *a, enum search_kind kind, const char *name);
/* True if the alias of the kind stands for an index. */
MUST_CHECK enum rc search_index_exists(struct elastic *e, struct arena *a, enum search_kind kind, bool *exists);

/* RC_OK if all aliases stand for indices in which a search works now, as a health check asks. */
MUST_CHECK enum rc search_index_health(struct elastic *e, struct arena *a);

/* Ids and fingerprints of the documents behind `after` (NULL: from the first), in the order of ids, for comparing. */
enum { SEARCH_INDEX_PART = 5000 };
struct search_index_entry {
    struct uuid id;
    int64_t fingerprint;
};
MUST_CHECK enum rc search_index_list(struct elastic *e, struct arena *a, enum search_kind kind, const struct uuid *after,
                                     struct search_index_entry entries[SEARCH_INDEX_PART], size_t *count);

#endif
