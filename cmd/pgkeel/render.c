/*
 * pgkeel render: the objects that clusters become, offline. It prints what the operator would apply
 * to a new cluster, with the same code; golden tests and GitOps users rely on it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/names.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/hash.h"
#include "yaml/yaml.h"
#include "credentials/credentials.h"
#include "desired/desired.h"
#include "pgkeel/verb.h"

enum { OPT_FILE, OPT_NAMESPACE, OPT_IMAGE, OPT_POSTGRES_IMAGE, OPT_NO_IMAGE_VOLUMES, OPT_COUNT };

static const struct verb_option options[] = {
    [OPT_FILE] = {"file", 'f', "FILE", "manifest to read, '-' for stdin; may be repeated"},
    [OPT_NAMESPACE] = {"namespace", 'n', "NAME",
                       "namespace of clusters that name none (default: default)"},
    [OPT_IMAGE] =
        {"agent-image", 0, "IMAGE",
         "image that holds pgkeel, for the PostgreSQL pods (default: localhost/pgkeel:VERSION)"},
    [OPT_POSTGRES_IMAGE] = {"postgres-image-pattern", 0, "IMAGE",
                            "PostgreSQL image of clusters that name none; %d is the major version "
                            "(default: postgres:%d)"},
    [OPT_NO_IMAGE_VOLUMES] =
        {"no-image-volumes", 0, NULL,
         "render for an API server without image volumes: an init container copies pgkeel"},
    [OPT_COUNT] = {NULL, 0, NULL, NULL},
};

struct cluster {
    const char *file;
    int line;
    struct snapshot snapshot;
};

struct render {
    struct arena *arena;
    const char *values[OPT_COUNT];
    struct cluster *clusters;
    size_t count, capacity;
    size_t seen; /* PostgresClusters met, valid or not */
    bool unreadable, refused;
};

static ERR_CHECKED int read_stdin(struct arena *arena, char **ret_text, size_t *ret_length,
                                  struct error *err)
{
    AUTO_BUFFER all = {0};
    for (;;) {
        char chunk[65536];
        ssize_t n = read(STDIN_FILENO, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_errno(err, errno, "read stdin");
        if (n == 0)
            break;
        /* the bound of files, too */
        if (all.length + (size_t)n > JSON_MAX_BYTES)
            return err_set(err, ERR_INVALID, "more than %d bytes", JSON_MAX_BYTES);
        buffer_append(&all, chunk, (size_t)n);
    }
    *ret_text = arena_strndup(arena, buffer_text(&all), all.length);
    *ret_length = all.length;
    return 0;
}

struct placed_fault {
    int line;
    const struct spec_fault *fault;
};

static int by_line(const void *a, const void *b)
{
    const struct placed_fault *x = a, *y = b;
    if (x->line != y->line)
        return x->line - y->line;
    return (x->fault > y->fault) - (x->fault < y->fault);
}

static void print_faults(struct render *render, const struct yaml_document *document,
                         const char *file, const char *prefix, const struct cluster_spec *spec,
                         const struct spec_faults *faults)
{
    struct placed_fault *placed = arena_alloc(render->arena, (faults->count + 1) * sizeof *placed);
    for (size_t i = 0; i < faults->count; i++) {
        const char *path = faults->items[i].path;
        char *whole = arena_printf(render->arena, "%s%s%s", prefix, *prefix ? "." : "", path);
        placed[i] = (struct placed_fault){yaml_line_of(document, whole), &faults->items[i]};
    }
    qsort(placed, faults->count, sizeof *placed, by_line);
    for (size_t i = 0; i < faults->count; i++)
        fprintf(stderr, "%s:%d: PostgresCluster %s/%s: %s: %s\n", file, placed[i].line,
                spec->namespace, spec->name, placed[i].fault->path, placed[i].fault->message);
}

static const struct cluster *find_cluster(const struct render *render,
                                          const struct cluster_spec *spec)
{
    for (size_t i = 0; i < render->count; i++) {
        const struct cluster_spec *other = &render->clusters[i].snapshot.spec;
        if (strcmp(other->name, spec->name) == 0 && strcmp(other->namespace, spec->namespace) == 0)
            return &render->clusters[i];
    }
    return NULL;
}

static struct cluster *add_cluster(struct render *render)
{
    render->clusters = arena_room(render->arena, render->clusters, render->count, &render->capacity,
                                  sizeof *render->clusters);
    return &render->clusters[render->count++];
}

/* `prefix` leads to the object inside its document: "" or "items[3]". */
static void take_cluster(struct render *render, const struct yaml_document *document,
                         const char *file, const char *prefix, cJSON *object)
{
    struct api_defaults defaults = {render->values[OPT_POSTGRES_IMAGE]};
    struct cluster_spec spec;
    struct spec_faults faults;
    struct error err = {0};
    cJSON *metadata = json_get(object, "metadata");
    render->seen++;
    if (cJSON_IsObject(metadata) && !json_get(metadata, "namespace"))
        json_set_str(metadata, "namespace", render->values[OPT_NAMESPACE]);
    int class = api_decode(render->arena, object, &defaults, &spec, &faults, &err);
    print_faults(render, document, file, prefix, &spec, &faults);
    const struct cluster *other = find_cluster(render, &spec);
    if (class == 0 && other) {
        char *message = arena_printf(render->arena, "duplicate: the same cluster is at %s:%d",
                                     other->file, other->line);
        struct spec_fault fault = {"metadata.name", message};
        print_faults(render, document, file, prefix, &spec, &(struct spec_faults){&fault, 1});
        class = ERR_INVALID;
    }
    if (class < 0) {
        render->refused = true;
        return;
    }
    struct cluster *cluster = add_cluster(render);
    *cluster = (struct cluster){.file = file, .line = yaml_line_of(document, prefix)};
    cluster->snapshot.spec = spec;
}

/* Other kinds are skipped, not refused: a manifest may hold the whole application. */
static void take_object(struct render *render, const struct yaml_document *document,
                        const char *file, const char *prefix, cJSON *object)
{
    const char *kind = json_str(object, "kind", ""), *name = json_str(object, "metadata.name", "");
    cJSON *items = json_get(object, "items"), *item;
    int line = yaml_line_of(document, prefix), index = 0;
    if (strcmp(kind, API_KIND) == 0) {
        take_cluster(render, document, file, prefix, object);
    } else if (*prefix == '\0' && cJSON_IsArray(items) && strlen(kind) >= 4 &&
               strcmp(kind + strlen(kind) - 4, "List") == 0) {
        cJSON_ArrayForEach (item, items) {
            take_object(render, document, file, arena_printf(render->arena, "items[%d]", index++),
                        item);
        }
    } else if (*kind == '\0') {
        fprintf(stderr, "%s:%d: not a Kubernetes object: it has no kind\n", file, line);
        render->unreadable = true;
    } else {
        fprintf(stderr, "%s:%d: %s %s is skipped: not a " API_KIND "\n", file, line, kind, name);
    }
}

/* Reads on after an unreadable file, so that one run reports the faults of all. */
static void take_file(struct render *render, const char *file)
{
    bool from_stdin = strcmp(file, "-") == 0;
    const char *shown = from_stdin ? "stdin" : file;
    struct error err = {0};
    struct yaml_document *documents;
    size_t length, count = 0;
    char *text;
    int class = from_stdin ? read_stdin(render->arena, &text, &length, &err)
                           : file_read(render->arena, file, JSON_MAX_BYTES, &text, &length, &err);
    if (class == 0 && yaml_parse(render->arena, text, length, &documents, &count, &err) < 0)
        class = err_wrap(&err, "%s", shown);
    if (class < 0) {
        fprintf(stderr, "pgkeel render: %s\n", err.text);
        render->unreadable = true;
    }
    for (size_t i = 0; i < count; i++)
        take_object(render, &documents[i], shown, "", documents[i].tree);
}

/* Only the names of Secrets and keys are printed, never their content. */
static void no_randomness(void *arg, unsigned char *buffer, size_t n)
{
    (void)arg;
    memset(buffer, 0, n);
}

/* The snapshot of a cluster that does not exist yet. */
static void see_nothing(const struct render *render, struct snapshot *snapshot)
{
    const struct cluster_spec *spec = &snapshot->spec;
    const char *image = render->values[OPT_IMAGE];
    snapshot->agent_image = image ? image : "localhost/pgkeel:" PGKEEL_VERSION;
    snapshot->image_volumes = render->values[OPT_NO_IMAGE_VOLUMES] == NULL;
    snapshot->rw_address = "";
    snapshot->credentials.complete = true;
    snapshot->instance_count = (size_t)spec->instances;
    snapshot->instances =
        arena_alloc(render->arena, snapshot->instance_count * sizeof *snapshot->instances);
    for (int i = 0; i < spec->instances; i++) {
        snapshot->instances[i].name = name_instance(render->arena, spec->name, i + 1);
        snapshot->instances[i].ordinal = i + 1;
    }
}

static int by_kind_and_name(const void *a, const void *b)
{
    const cJSON *x = *(cJSON *const *)a, *y = *(cJSON *const *)b;
    int order = strcmp(json_str(x, "kind", ""), json_str(y, "kind", ""));
    return order ? order
                 : strcmp(json_str(x, "metadata.name", ""), json_str(y, "metadata.name", ""));
}

/* A user's own Secret, as if it existed. */
static const cJSON *users_secret(struct render *render, const struct cluster_spec *spec,
                                 const char *name, const char *suffix, struct buffer *out)
{
    if (strcmp(name, name_child(render->arena, spec->name, suffix)) == 0)
        return NULL;
    buffer_printf(out, "# Secret %s must exist in namespace %s, with key password.\n", name,
                  spec->namespace);
    cJSON *secret = json_object(render->arena);
    json_set_str(json_add_object(secret, "metadata"), "name", name);
    json_set_str(json_add_object(secret, "data"), "password",
                 hash_base64(render->arena, "x", strlen("x")));
    return secret;
}

/* Names and keys only, as comments: their content is random, and documents without content would
 * overwrite the real ones when applied. */
static ERR_CHECKED int write_secrets(struct render *render, const struct snapshot *snapshot,
                                     struct buffer *out, struct error *err)
{
    const struct cluster_spec *spec = &snapshot->spec;
    struct credentials_result result;
    buffer_puts(out, "---\n");
    struct credentials_input input = {
        .superuser = users_secret(render, spec, spec->superuser_secret, "superuser", out),
        .app = users_secret(render, spec, spec->app_secret, "app", out),
        .replication = users_secret(render, spec, spec->replication_secret, "replication", out),
    };
    if (credentials_check(render->arena, spec, &input, 0, no_randomness, NULL, &result, err) < 0)
        return err_wrap(err, "list the Secrets of '%s'", spec->name);
    buffer_printf(
        out,
        "# The operator creates these Secrets of PostgresCluster %s/%s, with random content:\n",
        spec->namespace, spec->name);
    for (size_t i = 0; i < result.write_count; i++) {
        const cJSON *key, *object = result.writes[i].object;
        buffer_printf(out, "#   %s:", json_str(object, "metadata.name", ""));
        cJSON_ArrayForEach (key, json_get(object, "data")) {
            buffer_printf(out, " %s", key->string);
        }
        buffer_puts(out, "\n");
    }
    return 0;
}

static ERR_CHECKED int write_cluster(struct render *render, struct cluster *cluster,
                                     struct buffer *out, struct error *err)
{
    struct arena *arena = render->arena;
    struct snapshot *snapshot = &cluster->snapshot;
    see_nothing(render, snapshot);
    const char **hashes = arena_alloc(arena, snapshot->instance_count * sizeof *hashes);
    for (size_t i = 0; i < snapshot->instance_count; i++)
        hashes[i] = desired_template_hash(arena, snapshot, snapshot->instances[i].name);
    /* As in the operator's first pass, but at time 0: the output is always the same. */
    struct model *model =
        model_build(arena, snapshot, hashes, desired_config_hash(arena, snapshot), 0);
    struct desired desired = desired_build(arena, model);
    qsort(desired.objects, desired.count, sizeof *desired.objects, by_kind_and_name);
    for (size_t i = 0; i < desired.count; i++) {
        buffer_puts(out, "---\n");
        yaml_write(out, desired.objects[i]);
    }
    return write_secrets(render, snapshot, out, err);
}

static int by_namespace_and_name(const void *a, const void *b)
{
    const struct cluster_spec *x = &((const struct cluster *)a)->snapshot.spec;
    const struct cluster_spec *y = &((const struct cluster *)b)->snapshot.spec;
    int order = strcmp(x->namespace, y->namespace);
    return order ? order : strcmp(x->name, y->name);
}

/* All clusters or none: a part of the objects, applied, would pass for the whole. */
static int write_all(struct render *render)
{
    AUTO_BUFFER out = {0};
    struct error err = {0};
    if (render->count > 1)
        qsort(render->clusters, render->count, sizeof *render->clusters, by_namespace_and_name);
    for (size_t i = 0; i < render->count; i++)
        if (write_cluster(render, &render->clusters[i], &out, &err) < 0) {
            fprintf(stderr, "pgkeel render: %s\n", err.text);
            return EXIT_REFUSED;
        }
    if (fwrite(buffer_text(&out), 1, out.length, stdout) != out.length || fflush(stdout) != 0) {
        fprintf(stderr, "pgkeel render: cannot write the objects: %s\n", strerror(errno));
        return EXIT_REFUSED;
    }
    return EXIT_DONE;
}

/* The value that argv[*i] gives to this option, or NULL; steps over a value of its own. */
static const char *value_given(const struct verb_option *option, char **argv, int *i)
{
    const char *word = argv[*i];
    size_t length = strlen(option->name);
    if (option->value == NULL || word[0] != '-')
        return NULL;
    if (word[1] == '-' && strncmp(word + 2, option->name, length) == 0 && word[2 + length] == '=')
        return word + 3 + length;
    if (word[1] == '-' ? strcmp(word + 2, option->name) == 0
                       : word[1] == option->letter && word[2] == '\0')
        return argv[++*i];
    return word[1] == option->letter && option->letter ? word + 2 : NULL;
}

/* -f may be given repeatedly, of which verb_parse() keeps the last; it has checked them all. */
static int take_files(struct render *render, int argc, char **argv, int first)
{
    int files = 0;
    for (int i = 1; i < first; i++) {
        const char *value = NULL;
        int o = 0;
        for (; o < OPT_COUNT && value == NULL; o++)
            value = value_given(&options[o], argv, &i);
        if (value && o - 1 == OPT_FILE) {
            take_file(render, value);
            files++;
        }
    }
    for (int i = first; i < argc; i++, files++)
        take_file(render, argv[i]);
    return files;
}

/* An unreadable file outweighs an invalid cluster: with either, nothing is printed. */
static int run(const struct verb *verb, int argc, char **argv)
{
    int first, code;
    AUTO_ARENA arena = arena_new();
    struct render render = {.arena = arena};
    if (!verb_parse(verb, argc, argv, render.values, &first, &code))
        return code;
    if (take_files(&render, argc, argv, first) == 0) {
        fprintf(stderr,
                "pgkeel render: name the manifests to read: -f FILE; see 'pgkeel render --help'\n");
        return EXIT_USAGE;
    }
    if (!render.unreadable && render.seen == 0) {
        fprintf(stderr, "pgkeel render: no " API_KIND " in the manifests\n");
        return EXIT_UNREADABLE;
    }
    if (render.unreadable)
        return EXIT_UNREADABLE;
    return render.refused ? EXIT_REFUSED : write_all(&render);
}

const struct verb verb_render = {
    .name = "render",
    .arguments = "[FILE...]",
    .summary = "Print the objects of PostgresClusters, offline and sorted.",
    .options = options,
    .run = run,
};
