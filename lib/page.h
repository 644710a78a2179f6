/* Cursor pages (keyset pagination): parsing of the contract's request parameters and writing of its page object. */
#ifndef MOPL_PAGE_H
#define MOPL_PAGE_H

#include "db.h"
#include "json_write.h"
#include "req.h"

enum page_key { PAGE_TIME, PAGE_I64, PAGE_F64, PAGE_TEXT, PAGE_BOOL };

struct page_sort {
    const char *name; /* value of sortBy */
    enum page_key key;
};

/* A place in a list: the sort key and the id of a row. */
struct page_place {
    union {
        int64_t i64; /* PAGE_I64, PAGE_BOOL, PAGE_TIME in microseconds */
        double f64;
    } value;
    struct str text; /* PAGE_TEXT */
    struct uuid id;
};

enum { PAGE_LIMIT_MAX = 100 };

struct page {
    int limit; /* 1 to PAGE_LIMIT_MAX */
    bool descending;
    int sort; /* index into the sorts given */
    const struct page_sort *sorts;
    bool continued; /* a cursor was given: the page begins behind this place */
    struct page_place after;
};

/* limit, sortBy and sortDirection are required; cursor, if any, must come from a page of the same sort and direction; idAfter, if
 * any, must be a UUID and come with a cursor (it replaces the cursor's own tie-breaker). Bad ones are noted by req_invalid. */
void page_parse(struct req *r, const struct page_sort *sorts, size_t count, struct page *out);
/* The same for lists that may be asked without them: limit is then 20, the sort the first given, the direction DESCENDING. */
void page_parse_optional(struct req *r, const struct page_sort *sorts, size_t count, struct page *out);

/* Appends three parameters: the key to start behind, the id to start behind, and limit + 1 (::bigint). Without a cursor the key is
 * the least (or greatest, when descending) value of its type, so that one statement serves first and later pages: WHERE (key, id) >
 * ($1::T, $2::uuid) ORDER BY key, id LIMIT $3::bigint      (< and DESC when descending) */
void page_params(struct db_params *p, const struct page *page);
/* The page of an ordered query. The constant, which no limit exceeds, tells the planner that it is about few rows: it plans once
 * for every value of $3, and would take a tenth of the table for granted and join it as such. */
#define PAGE_OF(ordered) "SELECT * FROM (" ordered " LIMIT 101) AS ordered LIMIT $3::bigint"

/* Walks the rows of a page and writes {"data":[...],...}. Contract with the statement: column `total_column` holds the exact total
 * in every row; a row whose `id_column` is NULL is no item (an empty page still has one row, with the total); items come in page
 * order, limit + 1 at most; `key_column` holds the sort key. `item` writes one element. */
struct page_columns {
    int total;
    int id;
    int key;
};
void page_write(struct req *r, const struct page *page, const struct db_rows *rows, struct page_columns columns,
                void (*item)(struct buf *out, const struct db_rows *rows, int row));

/* Parts of page_write for lists whose items take several rows: data opened and closed by the caller. */
void page_begin(struct req *r);
void page_end(struct req *r, const struct page *page, bool has_next, const struct db_rows *rows, int last_row,
              struct page_columns columns, int64_t total);
/* The same for pages whose order is not the rows' own: the place where the page ended, or NULL if it is the last one. */
void page_end_at(struct req *r, const struct page *page, const struct page_place *last, int64_t total);

#endif
