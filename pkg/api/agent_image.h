/*
 * The agent's image, and how its file gets into a pod: see docs/architecture.md. Both are kept in
 * ANN_AGENT_IMAGE of the StatefulSet, so that a template that is kept is kept completely.
 */
#pragma once

#include <stdbool.h>

#include "base/arena.h"

enum agent_mode {
    AGENT_VOLUME,  /* the image is mounted, where the server offers that */
    AGENT_INSTALL, /* an init container copies the file */
};

struct agent_image {
    enum agent_mode mode;
    const char *reference; /* "" while there is none */
};

/* For a new template. */
struct agent_image api_agent_image_new(const char *reference, bool image_volumes);
/* Reads ANN_AGENT_IMAGE. A text without the word of a mode is a reference. */
struct agent_image api_agent_image_decode(const char *text, bool image_volumes);
char *api_agent_image_encode(struct arena *arena, const struct agent_image *image);
