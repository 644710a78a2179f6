/* What mails say, in Korean and English: subject, plain text and HTML of each kind. */
#ifndef MOPL_MAIL_TEXT_H
#define MOPL_MAIL_TEXT_H

#include "mail.h"
#include "messages.h"

/* A value that a text names as {name}. */
struct mail_value {
    const char *name;
    struct str text;
};

/* Fills in subject, text and html (escaped) of `mail`, in the arena. `values` are `count`; one that is not given stays empty.
 * RC_NOT_FOUND if there is no mail of that kind (mails.h). */
MUST_CHECK enum rc mail_text_fill(struct arena *a, struct str kind, enum lang lang, const struct mail_value *values, size_t count,
                                  struct mail *mail);
/* "3분", "90 seconds": whole minutes as such, else seconds. */
struct str mail_text_duration(struct arena *a, enum lang lang, int64_t seconds);
/* "2026-01-31 18:30 (KST)" in Korean, "2026-01-31 09:30 UTC" in English. */
struct str mail_text_time(struct arena *a, enum lang lang, int64_t seconds);

#endif
