#include "origin.h"

bool origin_is_of_host(struct str origin, struct str host) {
    size_t scheme = str_starts_nocase(origin, STR("http://")) ? 7 : str_starts_nocase(origin, STR("https://")) ? 8 : 0;
    return scheme > 0 && host.len > 0 && str_eq_nocase(str_from(origin.ptr + scheme, origin.len - scheme), host);
}

bool origin_in_list(struct str origin, const char *list) {
    struct str rest = str_of(list);
    while (origin.len > 0 && rest.ptr) {
        if (str_eq_nocase(str_trim(str_cut(&rest, ',')), origin)) return true;
    }
    return false;
}
