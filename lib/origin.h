/* Origins as browsers send them (RFC 6454): whose page is asking. */
#ifndef MOPL_ORIGIN_H
#define MOPL_ORIGIN_H

#include "str.h"

/* It is a page of the host that was asked (the value of Host). The scheme is left open: behind a proxy that ends TLS it is not
 * known.
 */
bool origin_is_of_host(struct str origin, struct str host);
/* It is in a list with commas between, as MOPL_ALLOWED_ORIGINS. */
bool origin_in_list(struct str origin, const char *list);

#endif
