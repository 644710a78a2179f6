#include "email.h"

#include "utf8.h"

enum { LOCAL_BYTES_MAX = 64, LABEL_BYTES_MAX = 63 };

struct str email_normalise(struct arena *a, struct str raw) {
    struct str trimmed = utf8_trim(raw);
    char *copy = arena_alloc(a, trimmed.len);
    for (size_t i = 0; i < trimmed.len; i++) {
        char c = trimmed.ptr[i];
        copy[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return str_from(copy, trimmed.len);
}

static bool is_alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_local(char c) {
    return is_alphanumeric(c) || (c != '\0' && strchr(".!#$%&'*+/=?^_`{|}~-", c) != NULL);
}

static bool is_label(struct str label) {
    if (label.len == 0 || label.len > LABEL_BYTES_MAX || label.ptr[0] == '-' || label.ptr[label.len - 1] == '-') return false;
    for (size_t i = 0; i < label.len; i++) {
        if (!is_alphanumeric(label.ptr[i]) && label.ptr[i] != '-') return false;
    }
    return true;
}

bool email_valid(struct str address) {
    size_t at = str_find(address, '@');
    if (at == 0 || at > LOCAL_BYTES_MAX || at >= address.len || address.len > EMAIL_BYTES_MAX) return false;
    for (size_t i = 0; i < at; i++) {
        if (!is_local(address.ptr[i])) return false;
        if (address.ptr[i] == '.' && (i == 0 || address.ptr[i + 1] == '.' || i + 1 == at)) return false; /* RFC 5321: Dot-string */
    }
    struct str rest = str_from(address.ptr + at + 1, address.len - at - 1);
    if (rest.len == 0) return false;
    while (rest.ptr) {
        if (!is_label(str_cut(&rest, '.'))) return false;
    }
    return true;
}
