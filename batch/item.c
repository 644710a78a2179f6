#include "item.h"

#include <openssl/sha.h>

#include "buf.h"
#include "utf8.h"

struct str item_tidy(struct arena *a, struct str text) {
    char *out = arena_alloc(a, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = (unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7F ? ' ' : text.ptr[i];
        if (c != ' ' || (len > 0 && out[len - 1] != ' ')) out[len++] = c;
    }
    struct str tidied = utf8_trim(str_from(out, len));
    return tidied.len > 0 ? tidied : (struct str){0};
}

void item_add_tag(struct arena *a, struct item *item, struct str tag) {
    tag = item_tidy(a, utf8_prefix(utf8_trim(tag), ITEM_TAG_MAX));
    if (tag.len == 0 || item->tag_count == ITEM_TAGS_MAX) return;
    for (size_t i = 0; i < item->tag_count; i++)
        if (str_eq_nocase(item->tags[i], tag)) return;
    item->tags[item->tag_count++] = tag;
}

void item_hash(const struct str *parts, size_t count, uint8_t out[static ITEM_HASH_BYTES]) {
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < count; i++) {
        buf_addf(&b, "%zu:", parts[i].len);
        buf_add(&b, parts[i]);
    }
    SHA256((const unsigned char *)b.ptr, b.len, out);
    buf_fini(&b);
}

/* An image is a part only if there is one: so the hashes of items without stay what they were before there were images. */
void item_finish(struct item *item) {
    item->title = utf8_trim(utf8_prefix(item->title, ITEM_TITLE_MAX));
    item->description = utf8_trim(utf8_prefix(item->description, ITEM_DESCRIPTION_MAX));
    struct str parts[4 + ITEM_TAGS_MAX] = {str_of(item->type), item->title, item->description};
    size_t count = 3 + item->tag_count;
    memcpy(parts + 3, item->tags, item->tag_count * sizeof *parts);
    if (item->image.ptr) parts[count++] = item->image;
    item_hash(parts, count, item->hash);
}
