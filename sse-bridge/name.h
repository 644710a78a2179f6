/* A host name looked up beside the loop (getaddrinfo_a, in the C library's threads), for who connects out of it: a resolver that
 * hangs must not hold up everybody's streams. */
#ifndef MOPL_BRIDGE_NAME_H
#define MOPL_BRIDGE_NAME_H

#include "str.h"

struct name;
enum { NAME_ADDRESS_MAX = 64 };

enum name_state {
    NAME_PENDING, /* ask again soon */
    NAME_FOUND,
    NAME_UNKNOWN, /* there is no such name, or nobody has told within 5 s */
};

/* An address stands for itself. */
struct name *name_new(struct str host);
/* NULL is allowed. */
void name_free(struct name *n);
/* For one attempt to connect: `address` is numeric. Of several addresses each has its turn. What was found is asked for anew after
 * some seconds; while that takes long, what was known last is good. */
enum name_state name_find(struct name *n, char address[NAME_ADDRESS_MAX]);

#endif
