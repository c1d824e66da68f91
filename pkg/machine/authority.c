#include "machine/authority.h"

#include <string.h>

bool machine_record_is_own(const struct facts *f)
{
    return f->pod_uid[0] != '\0' && strcmp(f->record.pod, f->pod_uid) == 0;
}

int64_t machine_recorded_epoch(const struct facts *f)
{
    return f->record.role == ROLE_PRIMARY && machine_record_is_own(f) ? f->record.epoch : 0;
}

int64_t machine_led_with(const struct facts *f)
{
    int64_t recorded = machine_record_is_own(f) ? f->record.epoch : 0;
    return recorded > f->held_epoch ? recorded : f->held_epoch;
}

bool machine_is_superseded(const struct facts *f)
{
    int64_t led = machine_led_with(f);
    return f->lease == LEASE_MINE && led > 0 && f->lease_epoch > led &&
           (!f->lease_given_back || f->record.role == ROLE_PRIMARY);
}

/* A pod announces an epoch, or gives its lease back, only once the epoch is recorded on its volume.
 * This volume has recorded no epoch as high, neither as its own nor as one that it followed. Agents
 * of earlier versions announce nothing, so for them only a lease that was given back counts. */
bool machine_is_outdated(const struct facts *f)
{
    int64_t known = f->record.epoch > f->record.seen ? f->record.epoch : f->record.seen;
    if (f->lease != LEASE_MINE)
        return false;
    return known < f->led_epoch || (f->lease_given_back && f->record.role == ROLE_PRIMARY &&
                                    f->record.epoch < f->lease_epoch);
}

bool machine_is_announced(const struct facts *f)
{
    return f->lease != LEASE_HELD || f->led_epoch == f->lease_epoch;
}

bool machine_led_last(const struct facts *f)
{
    return f->record.epoch > 0 && f->record.announced >= f->record.epoch &&
           f->record.superseded == 0 && (f->record.pod[0] == '\0' || machine_record_is_own(f));
}

/* Never from another instance: promotion without proof that the other has stopped belongs to
 * failover. From another pod of this instance only when it has given it back, or has not renewed it
 * for a whole term: it may run on, cut off, on a copy of the volume that this one's lock does not
 * reach. */
static bool may_take(const struct facts *f)
{
    switch (f->lease) {
    case LEASE_MINE:
        if (machine_is_superseded(f) || machine_is_outdated(f))
            return false;
        return f->lease_rested || (f->lease_given_back && f->record.role == ROLE_PRIMARY);
    case LEASE_FREE:
        return f->granted;
    case LEASE_RELEASED: /* only by the one who held it last */
        return f->record.role == ROLE_PRIMARY && f->record.epoch >= f->lease_epoch;
    default:
        return false;
    }
}

static bool writes(const struct facts *f)
{
    return f->server != SERVER_DOWN && f->running == ROLE_PRIMARY;
}

static bool is_lost(const struct facts *f)
{
    int64_t led = machine_led_with(f);
    return f->lease == LEASE_OTHER || machine_is_superseded(f) ||
           (f->server != SERVER_DOWN && f->lease == LEASE_RELEASED && led > 0 &&
            f->lease_epoch > led);
}

static bool is_alone(const struct facts *f)
{
    if (f->record.role != ROLE_PRIMARY)
        return false;
    if (f->lease == LEASE_UNKNOWN)
        return writes(f) || (f->api_wait_over && machine_led_last(f));
    return f->lease == LEASE_ABSENT && writes(f);
}

/* Another pod has led with this volume since: what is known of the lease is old, or the lease was
 * restored. A take finds out which. */
static bool was_followed(const struct facts *f)
{
    return f->record.epoch > f->lease_epoch && f->record.pod[0] != '\0' &&
           !machine_record_is_own(f);
}

/* A process that did not run asks before all else, also before a take: it may have lost the lease
 * long ago. */
static enum authority authority_of_holder(const struct facts *f)
{
    if (f->lease_doubtful)
        return AUTHORITY_ASK;
    if (was_followed(f))
        return AUTHORITY_TAKE;
    if (f->slice_epoch > f->lease_epoch)
        return AUTHORITY_TAKE_AGAIN;
    return machine_is_announced(f) ? AUTHORITY_HELD : AUTHORITY_UNANNOUNCED;
}

enum authority machine_authority(const struct facts *f)
{
    if (is_lost(f))
        return AUTHORITY_LOST;
    if (f->lease == LEASE_HELD)
        return authority_of_holder(f);
    if (may_take(f))
        return AUTHORITY_TAKE;
    return is_alone(f) ? AUTHORITY_ALONE : AUTHORITY_NONE;
}

enum volume_role machine_role(const struct facts *f)
{
    switch (machine_authority(f)) {
    case AUTHORITY_TAKE:
    case AUTHORITY_TAKE_AGAIN:
    case AUTHORITY_ASK:
    case AUTHORITY_UNANNOUNCED:
    case AUTHORITY_HELD:
        return ROLE_PRIMARY;
    case AUTHORITY_ALONE:
        /* What runs as a standby stays one: it was not told to lead. */
        return f->server != SERVER_DOWN ? f->running : ROLE_PRIMARY;
    case AUTHORITY_LOST:
    case AUTHORITY_NONE:
        break;
    }
    if (f->lease == LEASE_OTHER)
        return ROLE_REPLICA;
    /* A lease that was made again, or no API: a primary stays what it was, since only the holder
     * may take a lease; it only must not decide that before it has looked. */
    if (f->server != SERVER_DOWN)
        return f->running;
    if (f->record.role != ROLE_REPLICA || machine_is_outdated(f))
        return ROLE_NONE;
    return f->lease != LEASE_UNKNOWN || f->api_wait_over ? ROLE_REPLICA : ROLE_NONE;
}
