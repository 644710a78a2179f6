#include "messages.h"

static const struct {
    struct str text[2]; /* by enum lang */
} table[MSG_COUNT] = {
#define MSG(id, ko, en) [id] = {{[LANG_KO] = {"" ko, sizeof(ko) - 1}, [LANG_EN] = {"" en, sizeof(en) - 1}}},
#include "messages.def"
#undef MSG
};

/* Weights of RFC 9110 in thousandths; -1 for what is not a weight. */
static int parse_weight(struct str text) {
    if (text.len < 1 || text.len > 5 || (text.ptr[0] != '0' && text.ptr[0] != '1')) return -1;
    if (text.len > 1 && text.ptr[1] != '.') return -1;
    int weight = 0;
    int place = 1000;
    for (size_t i = 0; i < text.len; i++) {
        if (i == 1) continue;
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return -1;
        weight += (text.ptr[i] - '0') * place;
        place /= 10;
    }
    return weight <= 1000 ? weight : -1;
}

/* Of one element, e.g. "en-US;q=0.8": its range and weight. False for garbage, which counts as if it were not there. */
static bool parse_element(struct str element, struct str *range, int *weight) {
    struct str rest = element;
    *range = str_trim(str_cut(&rest, ';'));
    *weight = 1000;
    if (rest.ptr) {
        rest = str_trim(rest);
        if (!str_starts_nocase(rest, STR("q="))) return false;
        *weight = parse_weight(str_from(rest.ptr + 2, rest.len - 2));
    }
    return range->len > 0 && *weight >= 0;
}

static bool names_language(struct str range, struct str language) {
    return str_starts_nocase(range, language) && (range.len == language.len || range.ptr[language.len] == '-');
}

/* Best weight seen of one language and the place of the element that gave it. */
struct wish {
    int weight; /* -1: not named */
    int place;
};

static void note(struct wish *wish, int weight, int place) {
    if (weight > wish->weight) *wish = (struct wish){weight, place};
}

enum lang lang_from_header(struct str accept_language) {
    struct wish ko = {-1, 0};
    struct wish en = {-1, 0};
    struct wish any = {-1, 0};
    int place = 0;
    while (accept_language.ptr) {
        struct str range;
        int weight;
        place++;
        if (!parse_element(str_cut(&accept_language, ','), &range, &weight)) continue;
        if (names_language(range, STR("ko"))) note(&ko, weight, place);
        if (names_language(range, STR("en"))) note(&en, weight, place);
        if (str_eq(range, STR("*"))) note(&any, weight, place);
    }
    if (ko.weight < 0) ko = any;
    if (en.weight < 0) en = any;
    if (en.weight <= 0 || en.weight < ko.weight) return LANG_KO;
    return en.weight > ko.weight || en.place < ko.place ? LANG_EN : LANG_KO;
}

struct str msg_text(struct arena *a, enum msg id, enum lang lang, int64_t arg0, int64_t arg1) {
    struct str text = table[id].text[lang];
    struct str rest = text;
    struct str before = str_cut(&rest, '{');
    if (!rest.ptr) return text;
    char *out = arena_printf(a, "%.*s", (int)before.len, before.ptr);
    while (rest.ptr) {
        int64_t value = rest.ptr[0] == '0' ? arg0 : arg1;
        (void)str_cut(&rest, '}');
        struct str after = str_cut(&rest, '{');
        out = arena_printf(a, "%s%lld%.*s", out, (long long)value, (int)after.len, after.ptr);
    }
    return str_of(out);
}
