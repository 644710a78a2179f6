/* Listing of a storage; apart from its engines, because only jobs list, and need the XML parser for it. */
#include <dirent.h>
#include <errno.h>
#include <expat.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "storage_engine.h"

enum { DEPTH_MAX = 8 };
static const int64_t US = 1000000;

struct walk {
    enum rc (*visit)(void *context, const struct storage_entry *entry);
    void *context;
};

static enum rc show(const struct walk *w, const struct storage_entry *entry) {
    return storage_key_safe(entry->key) ? w->visit(w->context, entry) : RC_OK;
}

/* Files */

static enum rc walk_folder(const struct walk *w, int fd, const char *below, int depth);

/* Hidden ones are files under way. What is neither a folder nor a file is not ours. */
static enum rc walk_entry(const struct walk *w, int folder, const char *below, const char *name, int depth) {
    char key[STORAGE_KEY_MAX + 1];
    struct stat st;
    int len = snprintf(key, sizeof key, "%s%s%s", below, *below ? "/" : "", name);
    if (name[0] == '.' || len < 0 || len > STORAGE_KEY_MAX) return RC_OK;
    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? RC_OK : storage_refused("list", strerror(errno));
    if (S_ISREG(st.st_mode)) {
        struct storage_entry entry = {str_of(key), st.st_size, st.st_mtim.tv_sec * US + st.st_mtim.tv_nsec / 1000};
        return show(w, &entry);
    }
    if (!S_ISDIR(st.st_mode) || depth == DEPTH_MAX) return RC_OK;
    int fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? storage_refused("list", strerror(errno)) : walk_folder(w, fd, key, depth + 1);
}

/* Closes `fd`. */
static enum rc walk_folder(const struct walk *w, int fd, const char *below, int depth) {
    enum rc rc = RC_OK;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return storage_refused("list", strerror(errno));
    }
    for (const struct dirent *entry = readdir(dir); entry && rc == RC_OK; entry = readdir(dir))
        rc = walk_entry(w, dirfd(dir), below, entry->d_name, depth);
    closedir(dir);
    return rc;
}

/* S3: pages of a ListBucketResult */

enum field { FIELD_NONE, FIELD_KEY, FIELD_SIZE, FIELD_MODIFIED, FIELD_TOKEN, FIELD_COUNT };
static const char *const fields[FIELD_COUNT] = {"", "Key", "Size", "LastModified", "NextContinuationToken"};

struct page {
    const struct walk *walk;
    enum field field;
    struct buf texts[FIELD_COUNT];
    enum rc rc;
};

static void on_start(void *context, const char *name, const char **attributes) {
    struct page *page = context;
    (void)attributes;
    page->field = FIELD_NONE;
    for (int i = FIELD_KEY; i < FIELD_COUNT; i++)
        if (strcmp(name, fields[i]) == 0) page->field = (enum field)i;
    if (page->field) buf_reset(&page->texts[page->field], STORAGE_KEY_MAX);
}

static void on_text(void *context, const char *text, int len) {
    struct page *page = context;
    if (page->field) buf_add(&page->texts[page->field], str_from(text, (size_t)len));
}

/* The times that S3 gives have milliseconds: "2026-01-31T09:30:00.123Z"; some servers give none. */
static int64_t time_of(struct str text) {
    char whole[CLOCK_TEXT_LEN + 1];
    int64_t us = INT64_MAX; /* unknown: as if just now */
    if (text.len < strlen("2026-01-31T09:30:00") || text.len >= sizeof whole) return us;
    snprintf(whole, sizeof whole, "%.19s.000000Z", text.ptr);
    return clock_parse(str_of(whole), &us) ? us : INT64_MAX;
}

static void on_end(void *context, const char *name) {
    struct page *page = context;
    page->field = FIELD_NONE;
    if (strcmp(name, "Contents") != 0 || page->rc != RC_OK) return;
    struct storage_entry entry = {buf_str(&page->texts[FIELD_KEY]), 0, time_of(buf_str(&page->texts[FIELD_MODIFIED]))};
    if (!str_to_i64(buf_str(&page->texts[FIELD_SIZE]), &entry.bytes)) entry.bytes = 0;
    if (entry.key.len > 0) page->rc = show(page->walk, &entry);
}

static enum rc read_page(struct page *page, struct str xml) {
    XML_Parser parser = XML_ParserCreate("UTF-8");
    if (!parser) abort(); /* only for want of memory */
    XML_SetUserData(parser, page);
    XML_SetElementHandler(parser, on_start, on_end);
    XML_SetCharacterDataHandler(parser, on_text);
    bool read = xml.len <= INT32_MAX && XML_Parse(parser, xml.ptr, (int)xml.len, 1) == XML_STATUS_OK;
    XML_ParserFree(parser);
    return read ? page->rc : storage_refused("list", "the answer is no XML");
}

static void add_escaped(struct buf *b, struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c) != NULL;
        buf_addf(b, plain ? "%c" : "%%%02X", c);
    }
}

/* The query's members in the order that signing wants. */
static enum rc list_s3(struct storage *s, const struct walk *w) {
    struct page page = {.walk = w};
    struct arena a;
    arena_init(&a);
    for (int i = 0; i < FIELD_COUNT; i++) buf_init(&page.texts[i]);
    struct buf query;
    buf_init(&query);
    do {
        struct http_answer answer;
        struct str token = buf_str(&page.texts[FIELD_TOKEN]);
        buf_reset(&query, STORAGE_KEY_MAX);
        if (token.len > 0) {
            buf_add(&query, STR("continuation-token="));
            add_escaped(&query, token);
            buf_add_char(&query, '&');
        }
        buf_add(&query, STR("list-type=2&max-keys=1000"));
        buf_add_char(&query, '\0');
        buf_reset(&page.texts[FIELD_TOKEN], STORAGE_KEY_MAX);
        page.rc = storage_s3_query(s, &a, query.ptr, &answer);
        if (page.rc == RC_OK) page.rc = read_page(&page, answer.body);
        arena_reset(&a);
    } while (page.rc == RC_OK && page.texts[FIELD_TOKEN].len > 0);
    buf_fini(&query);
    for (int i = 0; i < FIELD_COUNT; i++) buf_fini(&page.texts[i]);
    arena_fini(&a);
    return page.rc;
}

enum rc storage_list(struct storage *s, enum rc (*visit)(void *context, const struct storage_entry *entry), void *context) {
    struct walk w = {visit, context};
    if (s->engine == &storage_s3) return list_s3(s, &w);
    int fd = openat(storage_files_root(s), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? storage_refused("list", strerror(errno)) : walk_folder(&w, fd, "", 0);
}
