/* Posters: whatever a title holds, the drawing is well-formed XML of the few elements it is made of, and loads and runs nothing.
 * The first byte chooses the type. */
#include <expat.h>

#include "fuzz.h"
#include "poster.h"
#include "utf8.h"

static void on_start(void *context, const char *name, const char **attributes) {
    static const char *const drawn[] = {"svg", "title", "defs",  "linearGradient", "stop",    "rect",    "circle",        "path",
                                        "g",   "text",  "tspan", "line",           "polygon", "ellipse", "radialGradient"};
    size_t at = 0;
    (void)context;
    while (at < sizeof drawn / sizeof *drawn && strcmp(drawn[at], name) != 0) at++;
    fuzz_check(at < sizeof drawn / sizeof *drawn);
    for (; *attributes; attributes += 2) {
        fuzz_check(strncmp(attributes[0], "on", 2) != 0 && !strstr(attributes[0], "href"));
        fuzz_check(strcmp(attributes[0], "xmlns") == 0 || !strstr(attributes[1], "://"));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const types[] = {"movie", "tvSeries", "sport"};
    if (size == 0) return 0;
    struct str title = str_from((const char *)data + 1, size - 1);
    if (!utf8_valid(title)) title.len = utf8_valid_length(title);
    struct arena a;
    struct buf out;
    arena_init(&a);
    buf_init(&out);
    poster_write(&a, &out, str_of(types[data[0] % 3]), title);
    fuzz_check(utf8_valid(buf_str(&out)) && out.len < 64 * 1024);
    XML_Parser parser = XML_ParserCreate("UTF-8");
    XML_SetStartElementHandler(parser, on_start);
    fuzz_check(XML_Parse(parser, out.ptr, (int)out.len, 1) == XML_STATUS_OK);
    XML_ParserFree(parser);
    buf_fini(&out);
    arena_fini(&a);
    return 0;
}
