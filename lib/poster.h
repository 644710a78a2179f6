/* Posters of contents that have no picture: an SVG drawn from title and type alone, always the same for the same two. */
#ifndef MOPL_POSTER_H
#define MOPL_POSTER_H

#include "arena.h"
#include "buf.h"
#include "str.h"

enum { POSTER_WIDTH = 400, POSTER_HEIGHT = 600 };

/* Appends the document. `type` is one of the contract's three, `title` any valid UTF-8; it is escaped, and characters that XML does
 * not know, or that turn the direction of text, are left out. No script, no style sheet, nothing loaded from elsewhere. */
void poster_write(struct arena *a, struct buf *out, struct str type, struct str title);

#endif
