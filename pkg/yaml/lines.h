/* The line of each node of a YAML stream. Internal to the reader; yaml_line_of() uses it. */
#pragma once

#include "yaml/yaml.h"

struct yaml_place {
    const cJSON *node;
    int line, column;
};

/* Lives as long as the arena. */
struct yaml_lines *yaml_lines_new(struct arena *arena);
void yaml_lines_add(struct yaml_lines *lines, struct yaml_place place);
/* After the last one, before the first yaml_line_of(). */
void yaml_lines_finish(struct yaml_lines *lines);
