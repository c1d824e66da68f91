/*
 * May this instance write, now? machine_authority() alone answers that. What starts or promotes
 * postgres, points traffic at it, makes its roles, and stops it at once only reads the answer: a
 * new rule belongs here, not there. Pure.
 */
#pragma once

#include "machine/machine.h"

enum authority {
    /* Another pod leads, or has led since: what accepts writes stops at once. */
    AUTHORITY_LOST,
    /* Nothing begins to write. What writes already goes on: no other pod can have been let in. */
    AUTHORITY_NONE,
    /* The lease is to be taken by compare-and-swap before anything begins to write. */
    AUTHORITY_TAKE,
    /* The same, although this pod holds it: its epoch is behind the endpoint's. Either the lease
     * was made again or restored, and its holder could never point the endpoint; or another pod
     * holds it by now, and the take tells. */
    AUTHORITY_TAKE_AGAIN,
    /* Held, but this process did not run for a whole term: the API server is asked before anything
     * begins to write. */
    AUTHORITY_ASK,
    /* The API is silent or the lease is gone, and this pod led last: no other can have followed. */
    AUTHORITY_ALONE,
    /* Held, but the lease does not say yet with which epoch this volume is led. Nothing begins to
     * write before that: until then an older copy of the volume could be led with. */
    AUTHORITY_UNANNOUNCED,
    AUTHORITY_HELD,
};

enum authority machine_authority(const struct facts *facts);
/* Postgres may be started or promoted to accept writes. */
static inline bool machine_may_begin_to_write(enum authority authority)
{
    return authority == AUTHORITY_ALONE || authority == AUTHORITY_HELD;
}
/* This pod writes the endpoint, and its report on the lease. */
static inline bool machine_holds_lease(enum authority authority)
{
    return authority == AUTHORITY_HELD || authority == AUTHORITY_UNANNOUNCED ||
           authority == AUTHORITY_TAKE_AGAIN;
}
/* A server that accepts writes already is ready for clients, and its roles may be made. */
static inline bool machine_may_write(enum authority authority)
{
    return authority == AUTHORITY_ALONE || machine_holds_lease(authority);
}
/* The role that the lease (or, while the API is away, the record) gives this instance; ROLE_NONE
 * while that cannot be told. */
enum volume_role machine_role(const struct facts *facts);

/* A later pod of this instance took the lease after this one had held it: a kubelet that is cut off
 * runs what was deleted long ago. There is no way back for this pod, also not when the other one is
 * gone: what was written meanwhile is on the other's copy of the volume. */
bool machine_is_superseded(const struct facts *facts);
/* The volume is a copy from before an epoch at which this instance was primary. */
bool machine_is_outdated(const struct facts *facts);
/* The lease says with which epoch this volume is led: from then on no older copy of it is. */
bool machine_is_announced(const struct facts *facts);
/* Without the API server only the pod that was primary last, and whose epoch was announced, may go
 * on as primary: another one can have followed it unnoticed only while this one was cut off. */
bool machine_led_last(const struct facts *facts);
bool machine_record_is_own(const struct facts *facts);
/* The epoch that the volume has under this pod's name, for the lease to say so too; 0: none. */
int64_t machine_recorded_epoch(const struct facts *facts);
/* The highest epoch that this very pod has held; 0: none that is known. */
int64_t machine_led_with(const struct facts *facts);
