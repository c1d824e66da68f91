/* The Secrets with which people log in, and roles.json made from them. Part of credentials only. */
#pragma once

#include "credentials/secret.h"

/* Password of each role, or NULL while there is none that can be used. */
struct passwords {
    const char *superuser, *app, *replication;
};

void passwords_check(struct check *check, const struct credentials_input *input,
                     struct passwords *ret_passwords);
/* Keeps every verifier that still fits its password, so that nothing changes at rest. */
int verifiers_check(struct check *check, const cJSON *secret, const struct passwords *passwords,
                    struct error *err) ERR_CHECKED;
