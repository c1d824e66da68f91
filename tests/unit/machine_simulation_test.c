/*
 * No seed, and no order of the next steps, makes agents lose or fork what was written: the world is
 * in agents.h, what happens to it in agents_fate.h.
 */
#include "agents_fate.h"

enum { STEPS = 600 };

static const char *role_name(enum volume_role role)
{
    return role == ROLE_PRIMARY ? "primary" : role == ROLE_REPLICA ? "replica" : "nothing";
}

static void show(const struct world *w)
{
    for (int i = 0; i < PODS; i++) {
        const struct pod *p = &w->pods[i];
        const struct disk *d = &w->disks[p->disk];
        if (!p->used)
            continue;
        print_message("%s%s%s%s%s: server %d as %s, lease state %d epoch %lld\n", p->identity,
                      p->alive ? "" : " dead", p->frozen || p->paused ? " frozen" : "",
                      p->cut_off ? " cut off" : "", p->detached ? " detached" : "", (int)p->server,
                      role_name(p->running), (int)p->engine.state,
                      (long long)p->engine.object.epoch);
        print_message("    disk %d, locked by %d: %s epoch %lld of '%s', told %lld, seen %lld, "
                      "superseded %lld; %ld of %ld writes\n",
                      p->disk, d->locked_by, role_name(d->record.role), (long long)d->record.epoch,
                      d->record.pod, (long long)d->record.announced, (long long)d->record.seen,
                      (long long)d->record.superseded, d->writes, w->writes);
    }
    print_message("lease '%s' epoch %lld, granted %d, led by a-%d with %lld; endpoint: pod %d, "
                  "epoch %lld\n",
                  w->api.lease.holder, (long long)w->api.lease.epoch, w->api.granted,
                  w->api.lead_instance, (long long)w->api.lead_epoch, w->api.slice_pod,
                  (long long)w->api.slice_epoch);
}

static bool run(struct world *w, struct choice *choice, enum plant plant)
{
    world_init(w, choice, plant);
    for (int step = 0; step < STEPS && w->fault[0] == '\0'; step++)
        happen(w);
    return w->fault[0] == '\0';
}

/* One accepts writes, with all that was ever written, and traffic goes there. */
static bool is_whole(const struct world *w)
{
    int primary = primary_pod(w);
    return primary >= 0 && w->disks[w->pods[primary].disk].writes == w->writes &&
           w->api.slice_pod == primary && w->pods[primary].engine.state == LEASE_HELD &&
           w->api.slice_epoch == w->api.lease.epoch;
}

static void expect_no_fault(const struct world *w, const char *run_of)
{
    if (w->fault[0] == '\0')
        return;
    show(w);
    fail_msg("%s: %s", run_of, w->fault);
}

static void no_accepted_write_is_lost_or_forked_and_one_leads_in_the_end(void **state)
{
    (void)state;
    static struct world w;
    uint64_t first = choice_first_seed();
    for (uint64_t seed = first; seed < first + choice_seeds(700); seed++) {
        struct choice choice = choice_by_seed(seed);
        char name[40];
        snprintf(name, sizeof name, "seed %llu", (unsigned long long)seed);
        run(&w, &choice, PLANT_NOTHING);
        expect_no_fault(&w, name);
        heal(&w);
        int64_t end_ms = w.true_ms + 20 * TERM_MS;
        while (w.true_ms < end_ms && w.fault[0] == '\0')
            happen(&w);
        expect_no_fault(&w, name);
        /* After what a person did, a person may have to decide. */
        if (is_whole(&w) || w.copied || w.deleted)
            continue;
        show(&w);
        fail_msg("%s: no pod leads in the end", name);
    }
}

/* A cluster at work, from which every order of the next steps is tried. */
static void settle(struct world *w, struct choice *choice)
{
    world_init(w, choice, PLANT_NOTHING);
    w->gentle = true;
    int64_t end_ms = w->true_ms + 20 * TERM_MS;
    while (w->true_ms < end_ms && !(is_whole(w) && w->writes > 3))
        happen(w);
    assert_true(is_whole(w));
    w->gentle = false;
}

static void no_order_of_the_next_steps_loses_or_forks_a_write(void **state)
{
    (void)state;
    static struct world settled, w;
    struct choice choice = choice_by_seed(1);
    settle(&settled, &choice);
    choice = choice_of_all(choice_depth(5));
    long runs = 0;
    do {
        w = settled;
        w.choice = &choice;
        for (int step = 0; step < choice.depth && w.fault[0] == '\0'; step++)
            happen(&w);
        expect_no_fault(&w, choice_text(&choice));
        runs++;
    } while (choice_next(&choice));
    print_message("%ld orders\n", runs);
    assert_true(runs > 1000);
}

/* The simulation is worth nothing if it does not find what is wrong. */
static void a_planted_fault_is_found(void **state)
{
    /* The rarest takes some ten thousand seeds from the first on, about a minute. */
    static const struct {
        enum plant plant;
        uint64_t first_seed;
    } plants[] = {{PLANT_NO_MEMORY, 1},
                  {PLANT_ANY_COPY, 1},
                  {PLANT_NO_GRANT, 1},
                  {PLANT_UNTOLD, 9300},
                  {PLANT_ANY_POD, 400}};
    (void)state;
    static struct world w;
    for (size_t i = 0; i < sizeof plants / sizeof plants[0]; i++) {
        uint64_t seed = plants[i].first_seed;
        bool found = false;
        for (; !found && seed < 30000; seed++) {
            struct choice choice = choice_by_seed(seed);
            found = !run(&w, &choice, plants[i].plant);
        }
        if (!found)
            fail_msg("plant %d is not found", (int)plants[i].plant);
        print_message("plant %d, seed %llu: %s\n", (int)plants[i].plant,
                      (unsigned long long)seed - 1, w.fault);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_accepted_write_is_lost_or_forked_and_one_leads_in_the_end),
        cmocka_unit_test(no_order_of_the_next_steps_loses_or_forks_a_write),
        cmocka_unit_test(a_planted_fault_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
