#include "poster.h"

#include "../support/fixture.h"
#include "../support/repeated.h"
#include "utf8.h"

static struct arena arena;
static struct buf out;
static void setup(void) {
    arena_init(&arena);
    buf_init(&out);
}
static void teardown(void) {
    arena_fini(&arena);
    buf_fini(&out);
}
TestSuite(poster, .init = setup, .fini = teardown);

static struct str draw_bytes(const char *type, const char *title, size_t len) {
    buf_reset(&out, out.cap);
    poster_write(&arena, &out, str_of(type), fixture_exact(&arena, title, len));
    return buf_str(&out);
}

static struct str draw(const char *type, const char *title) {
    return draw_bytes(type, title, strlen(title));
}

static size_t count(struct str text, const char *needle) {
    size_t n = 0;
    for (size_t i = 0; i + strlen(needle) <= text.len; i++) n += memcmp(text.ptr + i, needle, strlen(needle)) == 0;
    return n;
}

/* Each element is closed, quotes pair up within tags, entities are the four that XML knows, characters are those it allows. */
static void expect_well_formed(struct str svg) {
    int depth = 0;
    cr_assert(str_starts(svg, STR("<svg xmlns='http://www.w3.org/2000/svg'")));
    cr_assert(utf8_valid(svg));
    for (size_t i = 0; i < svg.len; i++) {
        struct str rest = str_from(svg.ptr + i, svg.len - i);
        cr_assert_geq((unsigned char)svg.ptr[i], 0x20, "control character %d", svg.ptr[i]);
        if (svg.ptr[i] == '&') {
            cr_assert(str_starts(rest, STR("&amp;")) || str_starts(rest, STR("&lt;")) || str_starts(rest, STR("&gt;")) ||
                      str_starts(rest, STR("&quot;")));
        }
        if (svg.ptr[i] != '<') continue;
        size_t close = str_find(rest, '>');
        cr_assert_lt(close, rest.len);
        if (rest.ptr[1] == '/') {
            depth--;
        } else if (rest.ptr[close - 1] != '/') {
            depth++;
        }
        i += close;
    }
    cr_assert_eq(depth, 0);
}

Test(poster, shows_title_and_type) {
    struct str svg = draw("movie", "올드보이");
    expect_well_formed(svg);
    cr_assert(str_has(svg, "<title>올드보이</title>"));
    cr_assert(str_has(svg, ">영화</text>"));
    cr_assert_eq(count(svg, "<tspan"), 1);
    cr_assert(str_has(draw("tvSeries", "올드보이"), ">TV</text>"));
    cr_assert(str_has(draw("sport", "올드보이"), ">스포츠</text>"));
}

Test(poster, same_for_the_same_and_other_for_others) {
    struct str first = arena_dup(&arena, draw("movie", "300"));
    cr_assert(str_eq(first, draw("movie", "300")));
    cr_assert(!str_eq(first, draw("movie", "301")));
    cr_assert(!str_eq(first, draw("sport", "300")));
}

Test(poster, title_is_text_whatever_it_holds) {
    struct str svg = draw("movie", "</title><script>alert(\"1\" & '2')</script>]]><!--");
    expect_well_formed(svg);
    cr_assert(!str_has(svg, "<script"));
    cr_assert(str_has(svg, "&lt;/title&gt;&lt;script&gt;alert(&quot;1&quot; &amp; '2')&lt;/script&gt;]]&gt;&lt;!--"));
}

Test(poster, characters_unknown_to_xml_are_left_out) {
    static const char title[] = "a\x01\x02\x1b\0b\x7f\xc2\x80"
                                "c\xef\xbf\xbe\xef\xbf\xbf"
                                "d\xf0\x9f\xbf\xbf\xe2\x80\xae"
                                "e\xef\xbb\xbf";
    struct str svg = draw_bytes("movie", title, sizeof title - 1);
    expect_well_formed(svg);
    cr_assert(str_has(svg, "<title>abcde</title>"));
}

Test(poster, blanks_are_one) {
    cr_assert(str_has(draw("movie", " \t\r\n a \n\n\t b\xe3\x80\x80\xc2\x85 c "), "<title>a b c</title>"));
    expect_well_formed(draw("movie", "\x01 \x02"));
    expect_well_formed(draw("movie", ""));
    cr_assert_eq(count(buf_str(&out), "<tspan"), 0);
}

Test(poster, long_titles_take_six_lines_and_an_ellipsis) {
    expect_well_formed(draw("movie", repeated(&arena, "letters ", 31)));
    cr_assert_eq(count(buf_str(&out), "<tspan"), 6);
    cr_assert(str_has(buf_str(&out), "letters…</tspan>"));
    expect_well_formed(draw("movie", repeated(&arena, "가", 255)));
    cr_assert_eq(count(buf_str(&out), "<tspan"), 6);
    cr_assert(str_has(buf_str(&out), "가…</tspan>"));
}

Test(poster, lines_break_between_words) {
    struct str svg = draw("movie", "Pirates of the Caribbean: The Curse of the Black Pearl");
    cr_assert(str_has(svg, ">Black Pearl</tspan>"));
    cr_assert(!str_has(svg, "…"));
    cr_assert(str_has(draw("tvSeries", "이상한 변호사 우영우"), ">우영우</tspan>"));
    /* Japanese has no blanks to break at. */
    svg = draw("movie", "千と千尋の神隠しと風立ちぬともののけ姫の物語");
    expect_well_formed(svg);
    cr_assert_geq(count(svg, "<tspan"), 3);
}

Test(poster, size_follows_the_length) {
    cr_assert(str_has(draw("movie", "300"), "font-size='50' font-weight='700'"));
    cr_assert(str_has(draw("movie", "Supercalifragilisticexpialidocious"), "font-size='29' font-weight='700'"));
}

Test(poster, marks_stay_with_their_letter) {
    /* 60 letters, each with an accent of its own, cannot be broken between a letter and its accent. */
    struct str svg = draw("movie", repeated(&arena, "e\xcc\x81", 60));
    expect_well_formed(svg);
    cr_assert_gt(count(svg, "<tspan"), 1);
    cr_assert(!str_has(svg, ">\xcc\x81"));
}

Test(poster, unknown_type_still_draws) {
    expect_well_formed(draw("podcast", "x"));
}

Test(poster, every_character_is_drawn_safely) {
    for (uint32_t c = 0; c <= 0x10ffff; c += c < 0x3000 ? 1 : 97) {
        char title[8] = "x";
        if (c >= 0xd800 && c <= 0xdfff) continue;
        size_t len = 1 + utf8_encode(c, title + 1);
        title[len++] = 'y';
        expect_well_formed(draw_bytes("sport", title, len));
        arena_reset(&arena);
    }
}
