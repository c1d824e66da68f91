/* <c>-ca and <c>-server: made, renewed, or judged when they are the user's. Part of credentials. */
#pragma once

#include "credentials/secret.h"

int certificates_check(struct check *check, const struct credentials_input *input,
                       struct error *err) ERR_CHECKED;
