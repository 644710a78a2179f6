/* Storage in a temporary folder of its own. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../support/folder.h"
#include "file.h"
#include "storage.h"

static char folder[] = "/tmp/mopl-storage-XXXXXX";
static struct arena arena;
static struct storage *storage;

static void setup(void) {
    cr_assert_not_null(mkdtemp(folder));
    arena_init(&arena);
    storage = storage_open(arena_printf(&arena, "%s/files", folder));
    cr_assert_not_null(storage);
}

static void teardown(void) {
    storage_close(storage);
    arena_fini(&arena);
    folder_remove(folder);
}

TestSuite(storage, .init = setup, .fini = teardown);

static struct str stored(const char *key) {
    struct str found = {0};
    enum rc rc = file_read(&arena, arena_printf(&arena, "%s/files/%s", folder, key), 1 << 20, &found);
    cr_assert(rc == RC_OK || rc == RC_NOT_FOUND);
    return found;
}

static int files_seen;
static int count_one(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)path;
    (void)st;
    (void)at;
    files_seen += kind == FTW_F;
    return 0;
}
static int files_below(void) {
    files_seen = 0;
    nftw(folder, count_one, 16, FTW_PHYS);
    return files_seen;
}

Test(storage, keys_are_random_and_spread) {
    struct str a = storage_key(&arena, "content", "png"), b = storage_key(&arena, "content", "png");
    cr_assert_not(str_eq(a, b));
    cr_assert_eq(a.len, strlen("content/ab/") + 32 + strlen(".png"));
    cr_assert(str_starts(a, STR("content/")));
    cr_assert_eq(memcmp(a.ptr + 8, a.ptr + 11, 2), 0); /* the folder is the start of the name */
    cr_assert(str_eq(str_from(a.ptr + a.len - 4, 4), STR(".png")));
}

Test(storage, url) {
    cr_assert(str_eq(storage_url(&arena, STR("content/ab/abc.png")), STR("/api/files/content/ab/abc.png")));
}

Test(storage, put_replace_delete) {
    cr_assert_eq(storage_put(storage, STR("content/ab/one.png"), STR("first")), RC_OK);
    cr_assert(str_eq(stored("content/ab/one.png"), STR("first")));
    cr_assert_eq(storage_put(storage, STR("content/ab/one.png"), STR("2")), RC_OK);
    cr_assert(str_eq(stored("content/ab/one.png"), STR("2")));
    cr_assert_eq(files_below(), 1, "no temporary file is left");
    struct stat st;
    cr_assert_eq(stat(arena_printf(&arena, "%s/files/content/ab/one.png", folder), &st), 0);
    cr_assert_eq(st.st_mode & 022, 0u, "only its owner may write it");
    cr_assert_eq(storage_delete(storage, STR("content/ab/one.png")), RC_OK);
    cr_assert_eq(files_below(), 0);
    cr_assert_eq(storage_delete(storage, STR("content/ab/one.png")), RC_OK);
    cr_assert_eq(storage_delete(storage, STR("never/was/there.png")), RC_OK);
}

Test(storage, empty_and_binary_bytes) {
    cr_assert_eq(storage_put(storage, STR("a"), str_from("", 0)), RC_OK);
    cr_assert_eq(stored("a").len, 0);
    static char large[3000000];
    for (size_t i = 0; i < sizeof large; i++) large[i] = (char)(i * 7);
    cr_assert_eq(storage_put(storage, STR("b"), str_from(large, sizeof large)), RC_OK);
    struct str found;
    cr_assert_eq(file_read(&arena, arena_printf(&arena, "%s/files/b", folder), sizeof large, &found), RC_OK);
    cr_assert(str_eq(found, str_from(large, sizeof large)));
    cr_assert_eq(file_read(&arena, arena_printf(&arena, "%s/files/b", folder), sizeof large - 1, &found), RC_TOO_LARGE);
}

Test(storage, unsafe_keys_are_refused) {
    const struct str keys[] = {
        STR(""),       STR("/"),     STR("/etc/passwd"), STR(".."),    STR("../outside"), STR("a/../../outside"),
        STR("a/.."),   STR("a//b"),  STR("a/"),          STR("."),     STR(".hidden"),    STR("a/.hidden"),
        STR("a\\..b"), STR("a b"),   STR("a\0b"),        STR("a\nb"),  STR("%2e%2e/b"),   STR("한글"),
        STR("a?b"),    STR("a\x7f"), STR("a;b"),         STR("a/./b"), STR("~root"),
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        cr_assert_eq(storage_put(storage, keys[i], STR("x")), RC_BAD_INPUT, "key %zu", i);
        cr_assert_eq(storage_delete(storage, keys[i]), RC_BAD_INPUT, "key %zu", i);
    }
    char longer[300];
    memset(longer, 'a', sizeof longer);
    cr_assert_eq(storage_put(storage, str_from(longer, 129), STR("x")), RC_BAD_INPUT);
    cr_assert_eq(storage_put(storage, str_from(longer, 128), STR("x")), RC_OK);
    cr_assert_eq(files_below(), 1);
}

Test(storage, links_lead_nowhere) {
    cr_assert_eq(symlink("/tmp", arena_printf(&arena, "%s/files/out", folder)), 0);
    cr_assert_eq(storage_put(storage, STR("out/mopl-storage-escaped"), STR("x")), RC_UNAVAILABLE);
    cr_assert_eq(access("/tmp/mopl-storage-escaped", F_OK), -1);
}

Test(storage, a_failed_put_leaves_what_was_there) {
    cr_assert_eq(storage_put(storage, STR("a/b"), STR("old")), RC_OK);
    cr_assert_eq(storage_put(storage, STR("a/b/c"), STR("new")), RC_UNAVAILABLE); /* a file stands where a folder is needed */
    cr_assert_eq(storage_put(storage, STR("a"), STR("new")), RC_UNAVAILABLE);     /* and a folder where the file should be */
    cr_assert(str_eq(stored("a/b"), STR("old")));
    cr_assert_eq(files_below(), 1, "no temporary file is left");
}

Test(storage, folder_that_cannot_be) {
    cr_assert_null(storage_open("/proc/no/such"));
    cr_assert_eq(storage_put(storage, STR("file"), STR("x")), RC_OK);
    cr_assert_null(storage_open(arena_printf(&arena, "%s/files/file", folder)));
}

Test(storage, what_was_stored_comes_back) {
    struct str bytes;
    cr_assert_eq(storage_put(storage, STR("content/ab/one.png"), STR("first")), RC_OK);
    cr_assert_eq(storage_get(storage, &arena, STR("content/ab/one.png"), 5, &bytes), RC_OK);
    cr_assert(str_eq(bytes, STR("first")));
    cr_assert_eq(storage_get(storage, &arena, STR("content/ab/one.png"), 4, &bytes), RC_TOO_LARGE);
    cr_assert_eq(storage_get(storage, &arena, STR("content/ab/two.png"), 5, &bytes), RC_NOT_FOUND);
    cr_assert_eq(storage_get(storage, &arena, STR("nowhere/two.png"), 5, &bytes), RC_NOT_FOUND);
    cr_assert_eq(storage_get(storage, &arena, STR("../one.png"), 5, &bytes), RC_BAD_INPUT);
    cr_assert_eq(storage_ping(storage), RC_OK);
}

Test(storage, media_types) {
    cr_assert_str_eq(storage_media_type(STR("a/b.png")), "image/png");
    cr_assert_str_eq(storage_media_type(STR("a/b.jpg")), "image/jpeg");
    cr_assert_str_eq(storage_media_type(STR("a/b.webp")), "image/webp");
    cr_assert_str_eq(storage_media_type(STR("a/b.svg")), "application/octet-stream");
    cr_assert_str_eq(storage_media_type(STR(".png")), "application/octet-stream");
}

struct seen {
    int count;
    int64_t bytes;
    enum rc says;
};

static enum rc see(void *context, const struct storage_entry *entry) {
    struct seen *seen = context;
    seen->count++;
    seen->bytes += entry->bytes;
    cr_assert(str_starts(entry->key, STR("a/")) || str_starts(entry->key, STR("b/")), "%.*s", (int)entry->key.len, entry->key.ptr);
    cr_assert_gt(entry->modified_us, INT64_C(1600000000) * 1000000);
    return seen->says;
}

Test(storage, lists_its_own_and_nothing_else) {
    struct seen seen = {0};
    cr_assert_eq(storage_list(storage, see, &seen), RC_OK);
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(storage_put(storage, STR("a/x/1.png"), STR("1")), RC_OK);
    cr_assert_eq(storage_put(storage, STR("a/2.png"), STR("22")), RC_OK);
    cr_assert_eq(storage_put(storage, STR("b/x/y/3.png"), STR("333")), RC_OK);
    cr_assert_eq(symlink("/etc", arena_printf(&arena, "%s/files/link", folder)), 0);
    FILE *hidden = fopen(arena_printf(&arena, "%s/files/a/.put-1", folder), "w"),
         *odd = fopen(arena_printf(&arena, "%s/files/a/o d", folder), "w");
    cr_assert(hidden && odd);
    fclose(hidden);
    fclose(odd);
    cr_assert_eq(storage_list(storage, see, &seen), RC_OK);
    cr_assert_eq(seen.count, 3);
    cr_assert_eq(seen.bytes, 6);
    seen = (struct seen){.says = RC_CONFLICT};
    cr_assert_eq(storage_list(storage, see, &seen), RC_CONFLICT);
    cr_assert_eq(seen.count, 1);
}
