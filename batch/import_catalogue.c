/* Job import-catalogue: makes contents out of the project's own films and matches (data/catalogue). Both files are read, mapped and
 * put in order before the first chunk, so what is written depends on nothing but them. */
#include <openssl/sha.h>
#include <stdlib.h>

#include "catalogue.h"
#include "contents.h"
#include "file.h"
#include "hex.h"
#include "runner.h"
#include "uuid.h"

enum { CHUNK_ITEMS = CONTENTS_ROWS_MAX, FILE_MAX_BYTES = 64 << 20, FINGERPRINT_BYTES = 8, US_PER_MS = 1000 };

/* The titles appear as if they had been added one after the other over a year, older ones first. */
static const int64_t FIRST_US = INT64_C(1735689600) * 1000000; /* 2025-01-01 */
static const int64_t SPAN_US = INT64_C(365) * 86400 * 1000000;

struct entry {
    struct catalogue_item row;
    size_t line; /* in its file, from 1 */
    int64_t created_us;
    bool duplicate; /* of an earlier row, to the byte */
};

struct kind {
    const char *file;
    const char *fields; /* its first line */
    bool (*map)(struct arena *a, struct str row, struct catalogue_item *out);
    bool titles_differ; /* two rows of one title are worth a note */
};

static const struct kind kinds[] = {{"films.jsonl", CATALOGUE_FILM_FIELDS, catalogue_film, true},
                                    {"matches.jsonl", CATALOGUE_MATCH_FIELDS, catalogue_match, false}};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

struct import {
    struct batch *b;
    struct entry *entries;
    size_t count;
    size_t at, end; /* of the chunk under way */
};

/* Reading */

static size_t count_lines(struct str text) {
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == '\n';
    return n;
}

static enum rc read_rows(struct import *im, const struct kind *kind, struct str text) {
    struct str rest = text, first = str_trim(str_cut(&rest, '\n'));
    if (!str_eq(first, str_of(kind->fields)))
        return batch_fail(im->b, RC_BAD_INPUT, "%s does not begin with the names of its fields", kind->file);
    for (size_t line = 2; rest.ptr; line++) {
        struct str row = str_trim(str_cut(&rest, '\n'));
        if (row.len == 0) continue;
        struct entry *e = &im->entries[im->count++];
        *e = (struct entry){.line = line};
        if (!kind->map(&im->b->arena, row, &e->row))
            return batch_fail(im->b, RC_BAD_INPUT, "%s: line %zu is no row", kind->file, line);
    }
    return RC_OK;
}

/* Order. Whole numbers are compared as such, the rest by the line, so that every order is total. */

static int compare(int64_t a, int64_t b) {
    return (a > b) - (a < b);
}

static int by_source_id(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    int order = memcmp(x->row.item.source_id.ptr, y->row.item.source_id.ptr, x->row.item.source_id.len); /* all of one length */
    return order ? order : compare((int64_t)x->line, (int64_t)y->line);
}

static int by_title(const void *a, const void *b) {
    const struct str x = ((const struct entry *)a)->row.item.title, y = ((const struct entry *)b)->row.item.title;
    int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
    if (order) return order;
    order = compare((int64_t)x.len, (int64_t)y.len);
    return order ? order : compare(((const struct entry *)a)->row.day, ((const struct entry *)b)->row.day);
}

static int by_day(const void *a, const void *b) {
    const struct entry *x = a, *y = b;
    int order = compare(x->row.day, y->row.day);
    return order ? order : compare((int64_t)x->line, (int64_t)y->line);
}

static int by_created(const void *a, const void *b) {
    return compare(((const struct entry *)a)->created_us, ((const struct entry *)b)->created_us);
}

static void note(struct import *im, const char *kind, const struct kind *of, const struct entry *e) {
    report_note(&im->b->report, kind,
                str_of(arena_printf(&im->b->arena, "%s line %zu: %.*s (%d)", of->file, e->line, (int)e->row.item.title.len,
                                    e->row.item.title.ptr, e->row.day / 10000)));
}

/* Rows with one identity: equal ones are skipped, others are numbered, so that each stays. */
static void tell_apart(struct import *im, const struct kind *of, struct entry *e, size_t count) {
    qsort(e, count, sizeof *e, by_source_id);
    for (size_t i = 0, first = 0; i < count; i++) {
        if (i == 0 || !str_eq(e[i].row.item.source_id, e[first].row.item.source_id)) first = i;
        for (size_t j = first; j < i && !e[i].duplicate; j++) e[i].duplicate = str_eq(e[i].row.raw, e[j].row.raw);
        if (e[i].duplicate) note(im, "duplicate row skipped", of, &e[i]);
    }
    size_t others = 0;
    struct str same = {0};
    for (size_t i = 0; i < count; i++) {
        struct str id = e[i].row.item.source_id;
        others = str_eq(id, same) ? others + !e[i].duplicate : 1;
        same = id;
        if (others == 1 || e[i].duplicate) continue;
        e[i].row.item.source_id = str_of(arena_printf(&im->b->arena, "%.*s-%zu", (int)id.len, id.ptr, others));
        note(im, "same identity, other facts", of, &e[i]);
    }
}

static void note_odd_titles(struct import *im, const struct kind *of, struct entry *e, size_t count) {
    qsort(e, count, sizeof *e, by_title);
    for (size_t i = 0; i < count; i++) {
        if (e[i].duplicate) continue;
        if (e[i].row.title_missing) note(im, "no title", of, &e[i]);
        if (of->titles_differ && i > 0 && str_eq(e[i].row.item.title, e[i - 1].row.item.title))
            note(im, "title of two works", of, &e[i]);
    }
}

/* Even microseconds for the first kind, odd ones for the second: no two titles were added at once. */
static void spread(struct entry *e, size_t count, size_t kind) {
    qsort(e, count, sizeof *e, by_day);
    for (size_t i = 0; i < count; i++)
        e[i].created_us = FIRST_US + (SPAN_US / (int64_t)count * (int64_t)i / KIND_COUNT) * KIND_COUNT + (int64_t)kind;
}

static enum rc load(struct import *im) {
    struct batch *b = im->b;
    struct str texts[KIND_COUNT];
    size_t room = 0;
    for (size_t k = 0; k < KIND_COUNT; k++) {
        const char *path = arena_printf(&b->arena, "%s/%s", b->options.data, kinds[k].file);
        if (file_read(&b->arena, path, FILE_MAX_BYTES, &texts[k])) return batch_fail(b, RC_BAD_INPUT, "cannot read %s", path);
        room += count_lines(texts[k]);
    }
    im->entries = arena_alloc(&b->arena, room * sizeof *im->entries);
    for (size_t k = 0; k < KIND_COUNT; k++) {
        size_t start = im->count;
        enum rc rc = read_rows(im, &kinds[k], texts[k]);
        if (rc) return rc;
        struct entry *e = im->entries + start;
        size_t count = im->count - start;
        tell_apart(im, &kinds[k], e, count);
        note_odd_titles(im, &kinds[k], e, count);
        spread(e, count, k);
    }
    qsort(im->entries, im->count, sizeof *im->entries, by_created);
    return RC_OK;
}

/* Writing */

/* A time-ordered id (version 7) that is the same on every machine. */
static struct uuid id_of(const struct entry *e) {
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct uuid id;
    SHA256((const unsigned char *)e->row.item.source_id.ptr, e->row.item.source_id.len, digest);
    memcpy(id.bytes, digest, sizeof id.bytes);
    uint64_t ms = (uint64_t)(e->created_us / US_PER_MS);
    for (int i = 0; i < 6; i++) id.bytes[i] = (uint8_t)(ms >> (40 - 8 * i));
    id.bytes[6] = (uint8_t)(0x70 | (id.bytes[6] & 0x0F));
    id.bytes[8] = (uint8_t)(0x80 | (id.bytes[8] & 0x3F));
    return id;
}

static enum rc write_chunk(void *context) {
    struct import *im = context;
    struct content_row *rows = arena_alloc(&im->b->chunk, CHUNK_ITEMS * sizeof *rows);
    size_t count = 0;
    for (size_t i = im->at; i < im->end; i++) {
        const struct entry *e = &im->entries[i];
        if (!e->duplicate) rows[count++] = (struct content_row){&e->row.item, id_of(e), e->created_us};
    }
    struct contents_written written;
    enum rc rc = contents_write(im->b->db, &im->b->chunk, rows, count, &written);
    if (rc) return rc;
    struct report *r = &im->b->report;
    report_count(r, "rows", (int64_t)(im->end - im->at));
    report_count(r, "inserted", written.inserted);
    report_count(r, "updated", written.updated);
    report_count(r, "unchanged", written.unchanged);
    report_count(r, "removed", written.removed);
    report_count(r, "duplicates", (int64_t)(im->end - im->at - count));
    return RC_OK;
}

/* "FINGERPRINT:INDEX": the index means something only for the very same list. */
static const char *fingerprint(struct import *im) {
    uint8_t *hashes = arena_alloc(&im->b->arena, im->count * ITEM_HASH_BYTES + 1), digest[SHA256_DIGEST_LENGTH];
    for (size_t i = 0; i < im->count; i++) memcpy(hashes + i * ITEM_HASH_BYTES, im->entries[i].row.item.hash, ITEM_HASH_BYTES);
    SHA256(hashes, im->count * ITEM_HASH_BYTES, digest);
    char *text = arena_alloc(&im->b->arena, 2 * FINGERPRINT_BYTES + 1);
    hex_cstr(digest, FINGERPRINT_BYTES, text);
    return text;
}

static void go_on(struct import *im, const char *print) {
    struct str rest = im->b->position, of = str_cut(&rest, ':');
    int64_t at;
    if (im->b->position.ptr && str_eq(of, str_of(print)) && str_to_i64(rest, &at) && at >= 0 && (uint64_t)at <= im->count)
        im->at = (size_t)at;
    else
        batch_restart(im->b);
}

static enum rc run(struct batch *b) {
    struct import im = {.b = b};
    if (!b->options.data && file_of_project(&b->arena, "data/catalogue", &b->options.data))
        return batch_fail(b, RC_NOT_FOUND, "there is no data/catalogue beside the program: say --data FOLDER");
    enum rc rc = load(&im);
    if (rc) return rc;
    const char *print = fingerprint(&im);
    go_on(&im, print);
    report_total(&b->report, (int64_t)im.count, (int64_t)im.at);
    while (im.at < im.count && rc == RC_OK) {
        im.end = im.at + CHUNK_ITEMS < im.count ? im.at + CHUNK_ITEMS : im.count;
        rc = batch_chunk(b, write_chunk, &im, arena_printf(&b->arena, "%s:%zu", print, im.end), (int64_t)(im.end - im.at));
        im.at = im.end;
    }
    return rc;
}

static const char *const counts[] = {"rows", "inserted", "updated", "unchanged", "removed", "duplicates", NULL};

const struct batch_job job_import_catalogue = {
    .name = "import-catalogue",
    .help = "contents out of the project's films and matches",
    .details = "Reads films.jsonl and matches.jsonl of FOLDER (data/catalogue of the project by default). New rows are inserted, "
               "changed ones\n"
               "updated except for what an administrator edited, equal ones left alone; rows = inserted + updated + unchanged + "
               "duplicates.\n",
    .counts = counts,
    .takes = TAKES_DATA,
    .run = run,
    .statements = contents_statements,
};
