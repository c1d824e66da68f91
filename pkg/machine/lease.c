#include "machine/machine.h"

void machine_lease_facts(const struct lease_engine *engine, const struct machine_lease *says,
                         int64_t slice_epoch, int64_t now_ms, struct facts *f)
{
    f->lease = engine->state;
    f->lease_epoch = engine->object.epoch;
    f->led_epoch = says->led_epoch;
    f->slot_ready = says->slot_ready;
    f->granted = says->granted;
    f->grant_initdb = says->grant_initdb;
    f->lease_writing = lease_engine_is_busy(engine);
    f->lease_given_back = engine->state == LEASE_MINE && lease_is_given_back(&engine->object);
    f->lease_rested = lease_engine_rests_at_ms(engine) <= now_ms;
    f->lease_doubtful = lease_engine_is_doubtful(engine, now_ms);
    f->held_epoch = engine->held_epoch;
    f->seen_epoch = engine->seen_epoch;
    f->slice_epoch = slice_epoch;
}
