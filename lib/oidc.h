/* Sign-in with an OpenID provider (OpenID Connect Core 1.0, authorization code with PKCE S256, RFC 7636): where to send the
 * browser, and who it is that came back. The provider's addresses come from its discovery document; that and its keys are kept for
 * an hour. */
#ifndef MOPL_OIDC_H
#define MOPL_OIDC_H

#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "rc.h"
#include "str.h"

struct oidc;

struct oidc_provider {
    const char *issuer; /* without a slash at its end, as its tokens say it */
    const char *client_id;
    const char *client_secret; /* "": none */
    const char *scope;
};

/* One sign-in: what ties the answer to the browser that began it. All text is fit for an address. */
struct oidc_attempt {
    struct str redirect_uri;
    struct str state;
    struct str nonce;
    struct str verifier; /* of PKCE: 43 to 128 characters */
};

/* Who signed in. In the arena. */
struct oidc_person {
    struct str subject;
    struct str email; /* absent if the provider does not say that it is verified */
    struct str name;  /* absent if it tells none */
};

/* A client of one provider: connections and what is kept. The provider's texts are borrowed for good. */
struct oidc *oidc_new(const struct oidc_provider *provider);
void oidc_free(struct oidc *o);

/* Address to send the browser to. RC_UNAVAILABLE if the provider cannot be asked (`oidc_error` says why). */
MUST_CHECK enum rc oidc_begin(struct oidc *o, struct arena *a, const struct oidc_attempt *attempt, struct str *url);
/* Trades the code for tokens and checks them: signature, issuer, audience, authorized party, nonce, times (60 s of grace).
 * `issuer` is the parameter iss of the answer (RFC 9207), absent if it had none. RC_UNAUTHENTICATED: the provider refused the code,
 * or what it sent is not to be believed. RC_UNAVAILABLE: it is away, slow or broken. */
MUST_CHECK enum rc oidc_finish(struct oidc *o, struct arena *a, const struct oidc_attempt *attempt, struct str code,
                               struct str issuer, struct oidc_person *out);
/* Why the last call failed, for the log: static text without tokens. */
const char *oidc_error(const struct oidc *o);

/* Appends a percent-encoded value (RFC 3986) to an address that is being written. */
struct buf;
void oidc_encode(struct buf *b, struct str value);

#endif
