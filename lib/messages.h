/* What people read in an error: one table of texts in Korean and English. {0} and {1} are integers. */
#ifndef MOPL_MESSAGES_H
#define MOPL_MESSAGES_H

#include <stdint.h>

#include "arena.h"
#include "str.h"

enum lang { LANG_KO, LANG_EN };

enum msg {
#define MSG(id, ko, en) id,
#include "messages.def"
#undef MSG
    MSG_COUNT
};

/* Best of ko and en by an Accept-Language value (RFC 9110 section 12.5.4, with q); Korean if it names neither or is absent. */
enum lang lang_from_header(struct str accept_language);
/* The text with its numbers filled in; in the arena. */
struct str msg_text(struct arena *a, enum msg id, enum lang lang, int64_t arg0, int64_t arg1);

#endif
