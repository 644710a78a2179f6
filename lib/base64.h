/* base64url without padding (RFC 4648 section 5): cursors, tokens; plus standard base64 for mails and SigV4. */
#ifndef MOPL_BASE64_H
#define MOPL_BASE64_H

#include <stdbool.h>

#include "arena.h"
#include "str.h"

struct str base64url_encode(struct arena *a, struct str bytes);
/* False if the text has any other character, bad length or non-zero spare bits. */
bool base64url_decode(struct arena *a, struct str text, struct str *bytes);
/* Standard alphabet with padding, no line breaks. */
struct str base64_encode(struct arena *a, struct str bytes);

#endif
