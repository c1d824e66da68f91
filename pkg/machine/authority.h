/*
 * May this instance write, now? Every rule of that stands here, in one predicate: what starts or
 * promotes postgres, what points traffic at it, what makes its roles and what stops it at once all
 * ask it. Pure.
 */
#pragma once

#include "machine/machine.h"

enum authority {
    /* Another leads, or has led since: what accepts writes stops at once. */
    AUTHORITY_LOST,
    /* Nothing begins to write. What does already goes on: nobody can have been let past it. */
    AUTHORITY_NONE,
    /* The lease may be taken by compare-and-swap; then it is to be held. */
    AUTHORITY_TAKE,
    /* Held, but this process did not run for a whole term: to be asked first. What runs goes on. */
    AUTHORITY_ASK,
    /* The API is silent or the lease is gone, and this pod led last: nobody can have followed it.
     */
    AUTHORITY_ALONE,
    AUTHORITY_HELD,
};

enum authority machine_authority(const struct facts *facts);
static inline bool machine_may_write(enum authority authority)
{
    return authority == AUTHORITY_ALONE || authority == AUTHORITY_HELD;
}
/* The role that the lease (or, while the API is away, the record) gives this instance; ROLE_NONE
 * while nobody can tell. */
enum volume_role machine_role(const struct facts *facts);
/* The lease is to be taken before anything else. */
bool machine_must_take(const struct facts *facts);

/* A later pod of this instance took the lease after this one had held it: a kubelet that is cut off
 * runs what was deleted long ago. There is no way back for this pod, also not when the other one is
 * gone: what was written meanwhile is on the other's copy of the volume. */
bool machine_is_superseded(const struct facts *facts);
/* The volume is a copy from before an epoch that this instance has led with. */
bool machine_is_outdated(const struct facts *facts);
/* The lease says with which epoch this volume is led: only then may it be written to, since from
 * then on no older copy of it is led with. */
bool machine_is_announced(const struct facts *facts);
/* Without the API server only the pod that led last, and whose lead was announced, may lead on: it
 * cannot have been followed by another one unnoticed but while it was cut off itself. */
bool machine_led_last(const struct facts *facts);
bool machine_record_is_own(const struct facts *facts);
/* The highest epoch that this very pod has held; 0: none that is known. */
int64_t machine_led_with(const struct facts *facts);
