#include "credentials/passwords.h"

#include <string.h>

#include "base/hash.h"

struct role {
    const char *name, *password;
    bool superuser, replication;
};

static const char *present_verifier(const cJSON *roles, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach (item, roles) {
        if (strcmp(json_str(item, "name", ""), name) == 0)
            return json_str(item, "verifier", "");
    }
    return "";
}

/* A verifier that fits the password is kept: a new salt would have every primary set the same
 * password again. */
static ERR_CHECKED int add_role(struct check *check, cJSON *roles, const cJSON *present,
                                const struct role *role, struct error *err)
{
    const char *verifier = present_verifier(present, role->name);
    if (!credentials_scram_matches(verifier, role->password)) {
        unsigned char salt[16];
        char *fresh;
        check->random(check->random_arg, salt, sizeof salt);
        if (credentials_scram(check->arena, role->password, salt, &fresh, err) < 0)
            return err_wrap(err, "verifier of role '%s'", role->name);
        verifier = fresh;
    }
    cJSON *item = json_push_object(roles);
    json_set_str(item, "name", role->name);
    json_set_str(item, "verifier", verifier);
    json_set_bool(item, "superuser", role->superuser);
    json_set_bool(item, "replication", role->replication);
    json_set_bool(item, "login", true);
    return 0;
}

static void see(struct check *check, const char *text)
{
    check->result.seen.verifiers_json = text;
    check->result.seen.verifiers_hash = hash_hex16(check->arena, text, strlen(text));
}

/* roles.json as it exists, or NULL: a text that cannot be read is replaced. */
static const cJSON *present_roles(struct check *check, const cJSON *secret)
{
    struct secret_value value = secret_value(check, secret, VERIFIERS_KEY);
    struct error ignored; /* what it holds follows from the passwords alone */
    cJSON *roles = NULL;
    if (value.text == NULL ||
        json_parse(check->arena, value.text, value.length, &roles, &ignored) < 0)
        return NULL;
    see(check, value.text);
    return roles;
}

static bool name_taken(struct check *check, const cJSON *secret, const char *name)
{
    enum secret_owner owner = secret_owner(check, secret);
    if (owner == SECRET_ABSENT || owner == SECRET_OURS)
        return false;
    if (secret_fault(check, REASON_NAME_COLLISION,
                     "Secret '%s/%s' exists and does not belong to this cluster",
                     check->spec->namespace, name))
        secret_unblock(check,
                       "if it is not needed: kubectl -n %s delete secret %s; else give the cluster "
                       "another name",
                       check->spec->namespace, name);
    return true;
}

/* While one of the passwords cannot be used, roles.json stays as it is: a list that lacks
 * one of the roles would be worse than an old one. */
int verifiers_check(struct check *check, const cJSON *secret, const struct passwords *passwords,
                    struct error *err)
{
    const char *name = name_child(check->arena, check->spec->name, "verifiers");
    if (name_taken(check, secret, name))
        return 0;
    const cJSON *present = present_roles(check, secret);
    if (!passwords->superuser || !passwords->app || !passwords->replication)
        return 0;
    const struct role roles[] = {
        {.name = ROLE_SUPERUSER, .password = passwords->superuser, .superuser = true},
        {.name = ROLE_REPLICATION, .password = passwords->replication, .replication = true},
        {.name = check->spec->owner, .password = passwords->app},
    };
    cJSON *list = json_adopt(check->arena, cJSON_CreateArray());
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (add_role(check, list, present, &roles[i], err) < 0)
            return err->class;
    const char *text = json_compact(check->arena, list);
    const struct key_value data = {VERIFIERS_KEY, text};
    const struct secret_intent intent = {
        .name = name,
        .type = "Opaque",
        .data = &data,
        .data_count = 1,
        .wave = 2,
        .reason = "a password, a role or the list of roles changed",
    };
    secret_ensure(check, secret, &intent);
    see(check, text);
    return 0;
}
