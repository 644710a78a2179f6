/* E-mail addresses as account names. */
#ifndef MOPL_EMAIL_H
#define MOPL_EMAIL_H

#include <stdbool.h>

#include "arena.h"
#include "str.h"

enum { EMAIL_BYTES_MAX = 254 }; /* RFC 5321 section 4.5.3.1.3, less the angle brackets */

/* The one form an address is stored and looked up in: white space at both ends taken off, ASCII letters lower case. In the arena.
 */
struct str email_normalise(struct arena *a, struct str raw);
/* True for a normalised address as RFC 5321 has it, without quotes and literals: an ASCII local part of words with dots between,
 * and dotted labels of letters, digits and hyphens; at most 64 characters before the @, EMAIL_BYTES_MAX in all. */
bool email_valid(struct str address);

#endif
