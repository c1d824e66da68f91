#include "api/agent_image.h"

#include <string.h>

#include "base/text.h"

static const char *const words[] = {[AGENT_VOLUME] = "volume:", [AGENT_INSTALL] = "install:"};

struct agent_image api_agent_image_new(const char *reference, bool image_volumes)
{
    return (struct agent_image){image_volumes ? AGENT_VOLUME : AGENT_INSTALL,
                                text_or_empty(reference)};
}

struct agent_image api_agent_image_decode(const char *text, bool image_volumes)
{
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strncmp(text, words[i], strlen(words[i])) == 0)
            return (struct agent_image){(enum agent_mode)i, text + strlen(words[i])};
    return api_agent_image_new(text, image_volumes);
}

char *api_agent_image_encode(struct arena *arena, const struct agent_image *image)
{
    return arena_printf(arena, "%s%s", words[image->mode], image->reference);
}
