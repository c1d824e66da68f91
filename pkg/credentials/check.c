#include "credentials/credentials.h"

#include <stdlib.h>

#include <openssl/rand.h>

#include "base/log.h"
#include "base/text.h"
#include "credentials/certificates.h"
#include "credentials/passwords.h"

void credentials_rand(void *arg, unsigned char *buffer, size_t n)
{
    (void)arg;
    if (RAND_bytes(buffer, (int)n) == 1)
        return;
    /* Stopping the operator is better than creating a password without entropy. */
    log_error("the random number generator of OpenSSL failed", NULL);
    abort();
}

static int by_wave(const void *a, const void *b)
{
    const struct credentials_write *left = a, *right = b;
    return left->wave - right->wave;
}

int credentials_check(struct arena *arena, const struct cluster_spec *spec,
                      const struct credentials_input *input, int64_t now_ms,
                      credentials_random random, void *random_arg,
                      struct credentials_result *ret_result, struct error *err)
{
    struct check check = {.arena = arena,
                          .spec = spec,
                          .now_ms = now_ms,
                          .random = random,
                          .random_arg = random_arg,
                          .trust = "",
                          .result.seen = {.complete = true,
                                          .reason = "",
                                          .message = "",
                                          .unblock = "",
                                          .verifiers_json = "",
                                          .verifiers_hash = "",
                                          .ca_pem = "",
                                          .ca_fingerprint = "",
                                          .notice_reason = "",
                                          .notice = "",
                                          .observed = text_or_empty(spec->reread_credentials)}};
    struct passwords passwords;
    if (certificates_check(&check, input, err) < 0) /* first: the app's Secret holds ca.crt */
        return err->class;
    passwords_check(&check, input, &passwords);
    if (verifiers_check(&check, input->verifiers, &passwords, err) < 0)
        return err->class;
    if (check.result.write_count > 1)
        qsort(check.result.writes, check.result.write_count, sizeof *check.result.writes, by_wave);
    *ret_result = check.result;
    return 0;
}
