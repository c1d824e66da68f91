#include "credentials/passwords.h"

#include <string.h>

#include <openssl/crypto.h>

enum { PASSWORD_CHARS = 32, KEYS_MAX = 12 };

/* One of the Secrets with a password in it. */
struct login {
    const char *secret_name, *default_name;
    const char *field;    /* of the spec, for messages */
    const char *username; /* the role */
    const char *database; /* NULL: nobody connects with it but pgkeel itself */
};

/* Letters and digits only: safe in URLs, shells, .pgpass and connection strings. Bytes beyond the
 * last multiple of 62 are thrown away, so that all characters are equally likely. */
static char *new_password(struct check *check)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    char *password = secret_printf(check, "%*s", PASSWORD_CHARS, "");
    unsigned char bytes[PASSWORD_CHARS];
    for (size_t filled = 0; filled < PASSWORD_CHARS;) {
        check->random(check->random_arg, bytes, sizeof bytes);
        for (size_t i = 0; i < sizeof bytes && filled < PASSWORD_CHARS; i++)
            if (bytes[i] < 248)
                password[filled++] = alphabet[bytes[i] % 62];
    }
    OPENSSL_cleanse(bytes, sizeof bytes);
    return password;
}

/* `\` before the two characters that .pgpass gives a meaning. */
static char *escape_pgpass(struct check *check, const char *text)
{
    char *escaped = secret_printf(check, "%*s", (int)(2 * strlen(text)), ""), *out = escaped;
    for (; *text; text++) {
        if (*text == ':' || *text == '\\')
            *out++ = '\\';
        *out++ = *text;
    }
    *out = '\0';
    return escaped;
}

/* Everything but RFC 3986's unreserved characters, so that any password survives in a URL. */
static char *escape_url(struct check *check, const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    char *escaped = secret_printf(check, "%*s", (int)(3 * strlen(text)), ""), *out = escaped;
    for (; *text; text++) {
        unsigned char byte = (unsigned char)*text;
        if (strchr(plain, *text)) {
            *out++ = *text;
        } else {
            *out++ = '%';
            *out++ = hex[byte >> 4];
            *out++ = hex[byte & 15];
        }
    }
    *out = '\0';
    return escaped;
}

/* Every key of a Secret of ours, all but the first derived from the password. */
static size_t derive_keys(struct check *check, const struct login *login, const char *password,
                          struct key_value keys[KEYS_MAX])
{
    size_t n = 0;
    keys[n++] = (struct key_value){"password", password};
    keys[n++] = (struct key_value){"username", login->username};
    if (login->database == NULL)
        return n;
    const struct cluster_spec *spec = check->spec;
    const char *host = arena_printf(check->arena, "%s.%s.svc",
                                    name_child(check->arena, spec->name, "rw"), spec->namespace);
    const char *user = escape_url(check, login->username), *secret = escape_url(check, password);
    const char *database = escape_url(check, login->database);
    const char *url = secret_printf(check, "postgresql://%s:%s@%s:%d/%s?sslmode=require", user,
                                    secret, host, PORT_POSTGRES, database);
    keys[n++] = (struct key_value){"host", host};
    keys[n++] = (struct key_value){"port", arena_printf(check->arena, "%d", PORT_POSTGRES)};
    keys[n++] = (struct key_value){"dbname", login->database};
    keys[n++] = (struct key_value){"uri", url};
    keys[n++] = (struct key_value){
        "jdbc-uri",
        secret_printf(check, "jdbc:postgresql://%s:%d/%s?user=%s&password=%s&sslmode=require", host,
                      PORT_POSTGRES, database, user, secret)};
    keys[n++] =
        (struct key_value){"pgpass", secret_printf(check, "%s:%d:%s:%s:%s\n", host, PORT_POSTGRES,
                                                   escape_pgpass(check, login->database),
                                                   escape_pgpass(check, login->username),
                                                   escape_pgpass(check, password))};
    keys[n++] = (struct key_value){"DATABASE_URL", url};
    keys[n++] = (struct key_value){"DATABASE_URL_DIRECT", url};
    if (*check->trust != '\0')
        keys[n++] = (struct key_value){"ca.crt", check->trust};
    return n;
}

static void unblock_by_password(struct check *check, const struct login *login)
{
    secret_unblock(check,
                   "for a random one: kubectl -n %s patch secret %s -p "
                   "'{\"stringData\":{\"password\":\"'$(openssl rand -hex 16)'\"}}'",
                   check->spec->namespace, login->secret_name);
}

/* A zero byte is a fault of its own: everything behind it would be cut off, and the role would get
 * another password than the applications. */
static const char *usable_password(struct check *check, const cJSON *secret,
                                   const struct login *login)
{
    const char *namespace = check->spec->namespace;
    struct secret_value value = secret_value(check, secret, "password");
    if (value.text == NULL) {
        if (secret_fault(check, REASON_SECRET_KEY_MISSING, "Secret '%s/%s' has no key 'password'",
                         namespace, login->secret_name))
            unblock_by_password(check, login);
        return NULL;
    }
    struct error why = {0};
    if (strlen(value.text) != value.length)
        err_set(&why, ERR_INVALID, "the password contains a zero byte: use printable ASCII only");
    else if (credentials_password_usable(value.text, &why) == 0)
        return value.text;
    if (secret_fault(check, REASON_PASSWORD_INVALID, "Secret '%s/%s', key 'password': %s",
                     namespace, login->secret_name, why.text))
        unblock_by_password(check, login);
    return NULL;
}

static void check_username(struct check *check, const cJSON *secret, const struct login *login)
{
    struct secret_value value = secret_value(check, secret, "username");
    if (value.text == NULL || strcmp(value.text, login->username) == 0)
        return;
    if (secret_fault(check, REASON_SECRET_USERNAME_MISMATCH,
                     "Secret '%s/%s', key 'username' says '%s', but the role is '%s'",
                     check->spec->namespace, login->secret_name, value.text, login->username))
        secret_unblock(check,
                       "kubectl -n %s patch secret %s -p '{\"stringData\":{\"username\":\"%s\"}}'",
                       check->spec->namespace, login->secret_name, login->username);
}

/* A Secret of the user's is read, never written. One of ours is repaired from its password, which
 * alone counts; a password is made only where no Secret is. */
static const char *login_check(struct check *check, const cJSON *secret, const struct login *login)
{
    const struct cluster_spec *spec = check->spec;
    enum secret_owner owner = secret_owner(check, secret);
    if (owner == SECRET_OTHERS) {
        if (secret_fault(check, REASON_NAME_COLLISION,
                         "Secret '%s/%s' belongs to PostgresCluster '%s'", spec->namespace,
                         login->secret_name,
                         json_str(secret, "metadata.labels[\"" LABEL_CLUSTER "\"]", "")))
            secret_unblock(check,
                           "name another Secret in spec.secrets.%s, or give one of the clusters "
                           "another name",
                           login->field);
        return NULL;
    }
    if (owner == SECRET_ABSENT && strcmp(login->secret_name, login->default_name) != 0) {
        if (secret_fault(check, REASON_SECRET_MISSING,
                         "Secret '%s/%s', named by spec.secrets.%s, does not exist",
                         spec->namespace, login->secret_name, login->field))
            secret_unblock(
                check,
                "kubectl -n %s create secret generic %s --from-literal=password=$(openssl rand "
                "-hex 16); or remove spec.secrets.%s to let pgkeel create Secret '%s'",
                spec->namespace, login->secret_name, login->field, login->default_name);
        return NULL;
    }
    const char *password =
        owner == SECRET_ABSENT ? new_password(check) : usable_password(check, secret, login);
    if (owner == SECRET_USERS) {
        check_username(check, secret, login);
        return password;
    }
    if (password == NULL)
        return NULL;
    struct key_value keys[KEYS_MAX];
    const struct secret_intent intent = {
        .name = login->secret_name,
        .type = "Opaque",
        .keep = spec->retain,
        .wave = 1,
        .data = keys,
        .data_count = derive_keys(check, login, password, keys),
        .reason = "the password, a key derived from it, or the CA changed",
    };
    secret_ensure(check, secret, &intent);
    return password;
}

void passwords_check(struct check *check, const struct credentials_input *input,
                     struct passwords *ret_passwords)
{
    const struct cluster_spec *spec = check->spec;
    const struct login superuser = {.secret_name = spec->superuser_secret,
                                    .default_name =
                                        name_child(check->arena, spec->name, "superuser"),
                                    .field = "superuser",
                                    .username = ROLE_SUPERUSER,
                                    .database = "postgres"};
    const struct login app = {.secret_name = spec->app_secret,
                              .default_name = name_child(check->arena, spec->name, "app"),
                              .field = "app",
                              .username = spec->owner,
                              .database = spec->database};
    const struct login replication = {.secret_name = spec->replication_secret,
                                      .default_name =
                                          name_child(check->arena, spec->name, "replication"),
                                      .field = "replication",
                                      .username = ROLE_REPLICATION};
    ret_passwords->superuser = login_check(check, input->superuser, &superuser);
    ret_passwords->app = login_check(check, input->app, &app);
    ret_passwords->replication = login_check(check, input->replication, &replication);
}
