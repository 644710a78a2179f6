#include "search.h"

#include "utf8.h"

struct str search_keyword(struct req *r, const char *name) {
    struct str keyword = utf8_trim(http_param(&r->query, name));
    if (utf8_length(keyword) > SEARCH_KEYWORD_MAX) req_invalid(r, name, MSG_LENGTH, 0, SEARCH_KEYWORD_MAX);
    return keyword.len > 0 ? keyword : (struct str){0};
}

struct search_tags search_tags(struct req *r, const char *name) {
    struct search_tags tags = {arena_alloc(r->arena, SEARCH_TAGS_MAX * sizeof *tags.items), 0};
    struct str tag;
    size_t at = 0;
    while (http_param_next(&r->query, name, &at, &tag)) {
        if (tags.count == SEARCH_TAGS_MAX) {
            req_invalid(r, name, MSG_COUNT_RANGE, 0, SEARCH_TAGS_MAX);
            break;
        }
        if (utf8_length(tag) > SEARCH_TAG_MAX) req_invalid(r, name, MSG_LENGTH, 0, SEARCH_TAG_MAX);
        tags.items[tags.count++] = tag;
    }
    return tags;
}
