#include "conf_forms.h"

#include <arpa/inet.h>
#include <libpq-fe.h>
#include <stdio.h>

enum { PORT_MAX = 65535, ORIGIN_MAX_BYTES = 300 };

bool conf_has_only(struct str s, const char *extra) {
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alphanumeric && !strchr(extra, c)) return false;
    }
    return s.len > 0;
}

bool conf_is_ipv6(const char *text) {
    unsigned char address[16];
    return inet_pton(AF_INET6, text, address) == 1;
}

/* HOST[:PORT]; an IPv6 address in brackets. `port` stays as it is without one. */
static bool is_host_port(struct str s, int64_t *port) {
    struct str rest = s;
    if (s.len && s.ptr[0] == '[') {
        struct str bracketed = str_cut(&rest, ']');
        if (!rest.ptr || !conf_has_only(str_from(bracketed.ptr + 1, bracketed.len - 1), ":.")) return false;
        if (rest.len == 0) return true;
        if (rest.ptr[0] != ':') return false;
        (void)str_cut(&rest, ':');
    } else if (!conf_has_only(str_cut(&rest, ':'), ".-_")) {
        return false;
    }
    return !rest.ptr || (str_to_i64(rest, port) && *port >= 1 && *port <= PORT_MAX);
}

bool conf_is_origin(struct str s) {
    struct str scheme = str_starts(s, STR("https://")) ? STR("https://") : STR("http://");
    int64_t port = 0;
    return str_starts(s, scheme) && is_host_port(str_from(s.ptr + scheme.len, s.len - scheme.len), &port);
}

bool conf_has_port(const char *text, int64_t ports) {
    int64_t port = 0;
    return is_host_port(str_of(text), &port) && port > 0 && port + ports - 1 <= PORT_MAX;
}

bool conf_is_origin_list(struct str list) {
    while (list.ptr) {
        struct str item = str_trim(str_cut(&list, ','));
        if (!conf_is_origin(item)) return false;
    }
    return true;
}

bool conf_is_http_url(struct str s) {
    struct str scheme = str_starts(s, STR("https://")) ? STR("https://") : STR("http://");
    if (!str_starts(s, scheme)) return false;
    struct str rest = str_from(s.ptr + scheme.len, s.len - scheme.len);
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '/') rest.len--;
    size_t at = rest.len;
    while (at > 0 && rest.ptr[at - 1] != '@') at--;
    char origin[ORIGIN_MAX_BYTES];
    int len = snprintf(origin, sizeof origin, "http://%.*s", (int)(rest.len - at), rest.ptr + at);
    return len > 0 && (size_t)len < sizeof origin && conf_is_origin(str_of(origin));
}

bool conf_is_index_name(struct str s) {
    enum { NAME_MAX_BYTES = 40 };
    bool good = s.len > 0 && s.len <= NAME_MAX_BYTES && s.ptr[0] >= 'a' && s.ptr[0] <= 'z';
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        good &= (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    return good;
}

bool conf_is_mail_address(struct str s) {
    size_t at = str_find(s, '@');
    return at > 0 && at + 1 < s.len && s.len <= 254 && str_find(s, ' ') == s.len &&
           str_find(str_from(s.ptr + at + 1, s.len - at - 1), '@') == s.len - at - 1;
}

bool conf_is_one_of(const char *value, const char *const *allowed) {
    while (*allowed && strcmp(value, *allowed) != 0) allowed++;
    return *allowed != NULL;
}

bool conf_is_network_list(struct str list) {
    while (list.ptr) {
        if (!conf_has_only(str_trim(str_cut(&list, ',')), ".:/")) return false;
    }
    return true;
}

bool conf_is_target(const char *url) {
    return (url[0] == '/' || strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0) && !strpbrk(url, " \"<>\\");
}

bool conf_is_database_url(const char *url) {
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    PQconninfoFree(options);
    return options != NULL;
}

bool conf_is_web_address(struct str s) {
    struct str scheme = str_starts(s, STR("https://")) ? STR("https://") : STR("http://");
    return str_starts(s, scheme) && s.len > scheme.len && str_find(s, ' ') == s.len && s.ptr[s.len - 1] != '/';
}
