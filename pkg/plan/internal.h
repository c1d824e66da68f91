/* What the files of this room share. */
#pragma once

#include <string.h>

#include "base/text.h"
#include "plan/plan.h"

/* The seen_pvc of that name, with its instance; NULL when no instance has it. */
const struct seen_pvc *plan_find_pvc(struct arena *arena, const struct model *model,
                                     const char *name, const struct model_instance **ret_instance);
const struct model_instance *plan_find_instance(const struct model *model, const char *name);

/* claims.c: the same object with the claim's present size, to write everything else first, because
 * the new size may be refused; NULL when there is nothing else to write. */
const cJSON *plan_stamp_pvc(struct arena *arena, const struct model *model, const cJSON *object);

/* reasons.c: fills effect and reason of an action on an object that is there, and moves a growing
 * volume to the first wave. */
void plan_explain(struct arena *arena, const struct model *model, const struct seen_object *seen,
                  bool intent_changed, struct plan_action *action);

/* deletes.c: appends the pods that are due and the objects that are no longer wanted. */
void plan_deletes(struct arena *arena, const struct model *model, const struct desired *desired,
                  struct plan *plan);
