#include "poster.h"

#include "dto.h"
#include "utf8.h"

enum { MARGIN = 36, LINES_MAX = 6, TITLE_BOTTOM = 548, EM = 100 /* widths are in hundredths of the font size */ };

static bool within(int32_t c, int32_t low, int32_t high) {
    return c >= low && c <= high;
}

/* Title as one line of text */

/* Marks that join the character before them: accents, joiners, variation selectors, skin tones. */
static bool joins_previous(int32_t c) {
    return within(c, 0x300, 0x36f) || within(c, 0x20d0, 0x20ff) || within(c, 0x200b, 0x200d) || within(c, 0xfe00, 0xfe0f) ||
           within(c, 0x1f3fb, 0x1f3ff);
}

static bool is_left_out(int32_t c) {
    bool xml = c == '\t' || c == '\n' || c == '\r' || within(c, 0x20, 0xd7ff) || within(c, 0xe000, 0xfffd) || c >= 0x10000;
    bool control = within(c, 0x7f, 0x9f) && c != 0x85;
    bool direction = within(c, 0x200e, 0x200f) || within(c, 0x202a, 0x202e) || within(c, 0x2066, 0x2069) || c == 0x61c;
    return !xml || control || direction || (c & 0xfffe) == 0xfffe || c == 0xfeff;
}

static bool is_blank(int32_t c) {
    return within(c, '\t', '\r') || c == ' ' || c == 0x85 || c == 0x2028 || c == 0x2029 || c == 0x3000;
}

/* Without what an image cannot show, runs of blanks made one. */
static struct str clean(struct arena *a, struct str title) {
    char *text = arena_alloc(a, title.len + 1);
    size_t len = 0;
    int32_t c;
    title = utf8_trim(title);
    while ((c = utf8_next(&title)) >= 0) {
        if (is_left_out(c)) continue;
        if (!is_blank(c)) {
            len += utf8_encode((uint32_t)c, text + len);
        } else if (len > 0 && text[len - 1] != ' ') {
            text[len++] = ' ';
        }
    }
    return utf8_trim(str_from(text, len));
}

/* Lines. The font is the visitor's, so widths are estimates on the safe side. */

static bool is_wide(int32_t c) {
    return within(c, 0x1100, 0x11ff) || within(c, 0x2e80, 0xa4cf) || within(c, 0xac00, 0xd7a3) || within(c, 0xf900, 0xfaff) ||
           within(c, 0xfe30, 0xfe6f) || within(c, 0xff01, 0xff60) || c >= 0x1f000;
}

static int width_of(int32_t c) {
    if (joins_previous(c)) return 0;
    if (is_wide(c)) return EM;
    if (c > 0x7f) return 70;
    if (strchr(" !'(),.:;I[]`fijlrt|", c)) return 40;
    if (strchr("MWmw@%&", c)) return 100;
    return within(c, 'A', 'Z') ? 78 : 68;
}

/* Chinese and Japanese break anywhere; Korean, as Latin, between words. */
static bool breaks_behind(int32_t c) {
    return c == '-' || (is_wide(c) && !within(c, 0xac00, 0xd7a3) && !within(c, 0x1100, 0x11ff));
}

struct layout {
    struct str lines[LINES_MAX];
    size_t count;
    bool cut;   /* not all of the title is in the lines */
    bool split; /* a word had to be broken */
};

/* Takes the longest beginning of `*rest` that is at most `width`, at least one character of it. */
static struct str take_line(struct str *rest, int width, bool *split) {
    struct str at = *rest;
    size_t fits = 0, word_end = 0;
    int used = 0;
    while (at.len > 0) {
        size_t before = rest->len - at.len;
        int32_t c = utf8_next(&at);
        if (c == ' ') word_end = before;
        used += width_of(c);
        if (used > width && before > 0) break;
        fits = rest->len - at.len;
        if (breaks_behind(c)) word_end = fits;
    }
    bool whole = fits == rest->len;
    if (!whole && word_end == 0) *split = true;
    size_t end = whole || word_end == 0 ? fits : word_end;
    struct str line = str_from(rest->ptr, end);
    *rest = str_trim(str_from(rest->ptr + end, rest->len - end));
    return line;
}

static struct layout lay_out(struct str title, int width, size_t lines) {
    struct layout l = {.count = 0};
    while (title.len > 0 && l.count < lines) {
        struct str rest = title;
        struct str line = take_line(&rest, width, &l.split);
        l.cut = rest.len > 0 && l.count + 1 == lines;
        /* The last line leaves room for the ellipsis. */
        if (l.cut) line = take_line(&title, width - EM, &l.split);
        l.lines[l.count++] = str_trim(line);
        title = rest;
    }
    return l;
}

/* The largest size at which the title fits without a broken word, else the smallest. */
static int choose_size(struct str title, struct layout *l) {
    static const struct { int size, lines; } TRIES[] = {{50, 3}, {42, 4}, {35, 5}, {29, LINES_MAX}};
    size_t i = 0;
    do {
        *l = lay_out(title, (POSTER_WIDTH - 2 * MARGIN) * EM / TRIES[i].size, (size_t)TRIES[i].lines);
    } while ((l->cut || l->split) && ++i < sizeof TRIES / sizeof *TRIES);
    return TRIES[i < sizeof TRIES / sizeof *TRIES ? i : i - 1].size;
}

/* Drawing */

static void add_escaped(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&':
            buf_add(out, STR("&amp;"));
            break;
        case '<':
            buf_add(out, STR("&lt;"));
            break;
        case '>':
            buf_add(out, STR("&gt;"));
            break;
        case '"':
            buf_add(out, STR("&quot;"));
            break;
        default:
            buf_add_char(out, text.ptr[i]);
        }
    }
}

struct motif {
    const char *type;
    const char *label;
    int label_width;
    const char *shapes; /* around 0,0, about 200 wide, in the stroke of their group */
};
static const struct motif MOTIFS[] = {
    /* A reel of film. */
    {"movie", "영화", 64,
     "<circle r='104'/><circle r='92'/><circle r='14' fill='#fff'/><g fill='#fff' fill-opacity='.5'>"
     "<circle cy='-54' r='25'/><circle cx='51.4' cy='-16.7' r='25'/><circle cx='31.7' cy='43.7' r='25'/>"
     "<circle cx='-31.7' cy='43.7' r='25'/><circle cx='-51.4' cy='-16.7' r='25'/></g>"
     "<path d='M-98 36C-140 150-60 190 40 176S190 190 250 150' stroke-width='14' stroke-dasharray='15 9'/>"},
    /* A television set. */
    {"tvSeries", "TV", 52,
     "<rect x='-112' y='-62' width='224' height='152' rx='22'/><rect x='-94' y='-44' width='150' height='116' rx='14' fill='#fff' "
     "fill-opacity='.3'/><path d='M-46-112L0-64 58-124M-62 112L-74 90M62 112L74 90' stroke-linecap='round'/>"
     "<circle cx='84' cy='-16' r='11' fill='#fff'/><circle cx='84' cy='20' r='11' fill='#fff'/><path d='M74 52h20M74 64h20'/>"},
    /* A pitch with its centre circle and a ball. */
    {"sport", "스포츠", 82,
     "<path d='M-260 0H260M-130-150V150'/><circle r='96'/><circle r='5' fill='#fff'/><path "
     "d='M-260-60H-210V60H-260M260-60H210V60H260'/>"
     "<g transform='translate(58 -66)'><circle r='38' fill='#fff' fill-opacity='.35'/><path d='M0-15L14.300-4.600 8.800 12.100"
     "-8.800 12.100-14.300-4.600ZM0-15V-37M14.300-4.600L35-11.500M8.800 12.100L21.600 29.900M-8.800 12.100L-21.600 "
     "29.900M-14.300-4.600L-35-11.500' "
     "stroke-width='4'/></g>"},
};

static const struct motif *motif_of(struct str type) {
    for (size_t i = 0; i < sizeof MOTIFS / sizeof *MOTIFS; i++) {
        if (str_eq(type, str_of(MOTIFS[i].type))) return &MOTIFS[i];
    }
    return &MOTIFS[0];
}

/* A hash of the title gives the colours and how the motif lies. */
static void draw_background(struct buf *out, uint64_t hash, const struct motif *motif) {
    unsigned hue = (unsigned)(hash % 360), second = (hue + 25 + (unsigned)(hash >> 12) % 60) % 360;
    int turn = (int)(hash >> 24 & 31) - 16;
    buf_addf(out,
             "<defs><linearGradient id='b' x1='%u%%' x2='%u%%' y2='1'><stop stop-color='hsl(%u,52%%,46%%)'/>"
             "<stop offset='.55' stop-color='hsl(%u,54%%,27%%)'/><stop offset='1' stop-color='hsl(%u,58%%,13%%)'/></linearGradient>"
             "<radialGradient id='l' cx='.82' cy='.1' r='.8'><stop stop-color='#fff' stop-opacity='.3'/>"
             "<stop offset='1' stop-color='#fff' stop-opacity='0'/></radialGradient></defs>"
             "<rect width='400' height='600' fill='url(#b)'/><rect width='400' height='600' fill='url(#l)'/>",
             (unsigned)(hash >> 32) % 40, 60 + (unsigned)(hash >> 40) % 40, hue, second, second);
    buf_addf(out, "<g transform='translate(%d %d) rotate(%d)' opacity='.26' fill='none' stroke='#fff' stroke-width='7'>%s</g>",
             232 + (int)(hash >> 48 & 31), 196 + (int)(hash >> 53 & 15), turn, motif->shapes);
}

static void draw_label(struct buf *out, const struct motif *motif) {
    buf_addf(out,
             "<rect x='%d' y='36' width='%d' height='32' rx='16' fill='#000' fill-opacity='.38'/>"
             "<text x='%d' y='58' font-size='17' font-weight='600' text-anchor='middle'>%s</text>",
             MARGIN, motif->label_width, MARGIN + motif->label_width / 2, motif->label);
}

static void draw_title(struct buf *out, const struct layout *l, int size) {
    int leading = size * 122 / 100, y = TITLE_BOTTOM - leading * ((int)l->count - 1);
    buf_addf(out, "<rect x='%d' y='%d' width='44' height='5' rx='2.5'/>", MARGIN, y - size - 18);
    buf_addf(out, "<text font-size='%d' font-weight='700'>", size);
    for (size_t i = 0; i < l->count; i++, y += leading) {
        buf_addf(out, "<tspan x='%d' y='%d'>", MARGIN, y);
        add_escaped(out, l->lines[i]);
        if (l->cut && i + 1 == l->count) buf_add(out, STR("…"));
        buf_add(out, STR("</tspan>"));
    }
    buf_add(out, STR("</text>"));
}

void poster_write(struct arena *a, struct buf *out, struct str type, struct str title) {
    const struct motif *motif = motif_of(type);
    struct layout l;
    title = clean(a, title);
    int size = choose_size(title, &l);
    buf_addf(
        out,
        "<svg xmlns='http://www.w3.org/2000/svg' width='%d' height='%d' viewBox='0 0 400 600' role='img' "
        "font-family=\"Pretendard,'Noto Sans KR','Noto Sans CJK KR','Apple SD Gothic Neo','Malgun Gothic',sans-serif\"><title>",
        POSTER_WIDTH, POSTER_HEIGHT);
    add_escaped(out, title);
    buf_add(out, STR("</title>"));
    draw_background(out, dto_poster_version(type, title), motif);
    buf_add(out, STR("<g fill='#fff'>"));
    draw_label(out, motif);
    draw_title(out, &l, size);
    buf_add(out, STR("</g></svg>"));
}
