/*
 * YAML -> PostgresCluster -> objects, as `pgkeel render` and the operator go that way. Beyond not
 * crashing: what is written is read back as the same values, a refusal has a fault and a fault is a
 * refusal, and whatever passes becomes objects with names that fit.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/names.h"
#include "yaml/yaml.h"
#include "desired/desired.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROUND_TRIP_MAX = 1 << 20 };

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void round_trip(struct arena *arena, const cJSON *tree)
{
    AUTO_BUFFER out = {0};
    struct error err = {0};
    struct yaml_document *documents;
    size_t count;
    yaml_write(&out, tree);
    if (out.length > ROUND_TRIP_MAX)
        return;
    require(yaml_parse(arena, buffer_text(&out), out.length, &documents, &count, &err) == 0);
    require(count == 1 && json_equal(tree, documents[0].tree));
}

static void build(struct arena *arena, struct snapshot *snapshot)
{
    size_t count = (size_t)snapshot->spec.instances;
    const char **hashes = arena_alloc(arena, count * sizeof *hashes);
    snapshot->agent_image = "localhost/pgkeel:1";
    snapshot->rw_address = "";
    snapshot->instances = arena_alloc(arena, count * sizeof *snapshot->instances);
    snapshot->instance_count = count;
    for (size_t i = 0; i < count; i++) {
        snapshot->instances[i].name = name_instance(arena, snapshot->spec.name, (int)i + 1);
        snapshot->instances[i].ordinal = (int)i + 1;
        hashes[i] = desired_template_hash(arena, snapshot, snapshot->instances[i].name);
    }
    struct model *model =
        model_build(arena, snapshot, hashes, desired_config_hash(arena, snapshot), 0);
    struct desired desired = desired_build(arena, model);
    require(desired.count >= 10 + 2 * count);
    for (size_t i = 0; i < desired.count; i++) {
        size_t length = strlen(json_str(desired.objects[i], "metadata.name", ""));
        require(length > 0 && length <= 63);
        round_trip(arena, desired.objects[i]);
    }
}

static void decode(struct arena *arena, const struct yaml_document *document)
{
    struct snapshot snapshot = {0};
    struct error err = {0};
    int class = api_decode(arena, document->tree, NULL, &snapshot.spec, &snapshot.faults, &err);
    require((class == 0) == (snapshot.faults.count == 0));
    for (size_t i = 0; i < snapshot.faults.count; i++) {
        require(*snapshot.faults.items[i].path && *snapshot.faults.items[i].message);
        require(yaml_line_of(document, snapshot.faults.items[i].path) >= document->line);
    }
    if (class == 0)
        build(arena, &snapshot);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO_ARENA arena = arena_new();
    struct error err = {0};
    struct yaml_document *documents;
    size_t count;
    if (yaml_parse(arena, (const char *)data, size, &documents, &count, &err) < 0) {
        require(err.class == ERR_UNREADABLE && strncmp(err.text, "line ", 5) == 0);
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        round_trip(arena, documents[i].tree);
        decode(arena, &documents[i]);
    }
    return 0;
}
