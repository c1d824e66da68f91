/* The trial of a configuration in every state that events can lead to. */
#include "test.h"

#include <stdio.h>

#include "base/text.h"
#include "machine/trial.h"

enum { SOURCES = 3, TABLE = 1 << 18 };

static const char *const sources[SOURCES] = {"1", "2", "3"};

/* One agent and what is around it, as far as it concerns its configuration. */
struct world {
    struct trial trial;
    const char *asked; /* what the operator asks for */
    char kept[2];      /* what the volume keeps */
    bool up;           /* a server runs */
    bool pending;      /* and has to be restarted for all of what is loaded */
    bool busy;         /* a check, or what follows from it */
    bool changed;      /* the instance's part differs from what is in the files */
    /* What a test knows, and the trial need not. */
    bool proven[SOURCES]; /* a server has come up with it */
    bool denied;          /* what is asked for was refused for certain since then */
    bool paused;          /* the next try comes after a pause */
    char failed[2];       /* with what the server failed last, since it was up */
    const char *broken;   /* what must hold, and does not */
};

enum move {
    ASK_1,
    ASK_2,
    ASK_3,
    CHANGE,        /* the instance's part: a certificate, a standby's limits */
    BEGIN,         /* what the agent does when the files are not what they shall be */
    BEGIN_UNKEPT,  /* likewise, and the volume cannot be read */
    PASS,          /* the check says yes, and it is loaded */
    PASS_PENDING,  /* likewise, and a part of it waits for a restart */
    DENY,          /* the check says no */
    DENY_UNKEPT,   /* likewise, and the volume cannot be read */
    POSTPONE,      /* the check could not be made */
    COME_UP,       /* a start succeeds */
    CRASH,         /* a start fails */
    CRASH_PASSING, /* likewise, for a cause that passes */
    DIE,           /* a running server does */
    STOP,          /* a running server is stopped in order */
    KEEP,          /* the server has all of what is loaded */
    NEW_POD,
    MOVES
};

static const char *const move_names[MOVES] = {
    [ASK_1] = "ASK_1",       [ASK_2] = "ASK_2",
    [ASK_3] = "ASK_3",       [CHANGE] = "CHANGE",
    [BEGIN] = "BEGIN",       [BEGIN_UNKEPT] = "BEGIN_UNKEPT",
    [PASS] = "PASS",         [PASS_PENDING] = "PASS_PENDING",
    [DENY] = "DENY",         [DENY_UNKEPT] = "DENY_UNKEPT",
    [POSTPONE] = "POSTPONE", [COME_UP] = "COME_UP",
    [CRASH] = "CRASH",       [CRASH_PASSING] = "CRASH_PASSING",
    [DIE] = "DIE",           [STOP] = "STOP",
    [KEEP] = "KEEP",         [NEW_POD] = "NEW_POD",
};

static int number_of(const char *hash)
{
    return hash[0] ? hash[0] - '0' : 0;
}

static enum trial_step tell(struct world *world, enum trial_kind kind, const char *hash)
{
    struct trial_event event = {.kind = kind, .hash = hash, .up = world->up};
    return trial_next(&world->trial, &event);
}

static enum trial_step look(struct world *world)
{
    world->denied &= text_same(world->asked, world->trial.newest);
    return tell(world, TRIAL_ASKED, world->asked);
}

/* What the files shall hold: TRIAL_REST when they do. */
static enum trial_step wanted(struct world *world)
{
    const struct trial *trial = &world->trial;
    enum trial_step step = look(world);
    if (step == TRIAL_TRY_NEWEST && text_same(trial->newest, trial->loaded) && !world->changed)
        return TRIAL_REST;
    return step == TRIAL_TRY_LOADED && !world->changed ? TRIAL_REST : step;
}

/* ---- what must hold ---- */

static void hold(struct world *world, bool holds, const char *what)
{
    if (!holds && world->broken == NULL)
        world->broken = what;
}

static bool is_one_of(const bool flags[SOURCES], const char *hash)
{
    return hash[0] != '\0' && flags[number_of(hash) - 1];
}

static void check_try(struct world *world)
{
    const char *tried = world->trial.trying;
    world->busy = true;
    hold(world, tried[0] != '\0', "nothing is tried");
    hold(world, !world->denied || !text_same(tried, world->trial.newest),
         "what was refused for certain is tried");
}

static void check_world(struct world *world)
{
    const struct trial *trial = &world->trial;
    hold(world, !world->up || trial->known == KNOWN_GOOD, "a server runs with what is not good");
    hold(world, trial->known != KNOWN_GOOD || trial->loaded[0] != '\0', "nothing is loaded");
    hold(world, world->kept[0] == '\0' || is_one_of(world->proven, world->kept),
         "what is kept was not proven");
    hold(world, trial->accepted[0] == '\0' || text_same(trial->accepted, world->kept),
         "the volume keeps something else than is known");
}

/* ---- moves ---- */

static void fall_back(struct world *world, bool readable)
{
    if (tell(world, TRIAL_FELL_BACK, readable ? world->kept : "") == TRIAL_TRY_ACCEPTED)
        check_try(world);
    else
        world->busy = false;
}

static void begin(struct world *world, bool readable)
{
    look(world);
    enum trial_step step = tell(world, TRIAL_BEGUN, readable ? world->kept : "");
    if (step == TRIAL_FALL_BACK)
        fall_back(world, readable);
    else
        check_try(world);
}

/* It is in doubt when the server failed with something else, too. */
static void note_denial(struct world *world, const char *hash, bool passes)
{
    bool in_doubt = passes || (world->failed[0] != '\0' && !text_same(world->failed, hash));
    world->denied |= !in_doubt && text_same(hash, world->trial.newest);
}

static void deny(struct world *world, bool readable)
{
    char tried[17];
    memcpy(tried, world->trial.trying, sizeof tried);
    enum trial_step step = tell(world, TRIAL_REFUSED, "");
    world->busy = false;
    world->paused = step == TRIAL_POSTPONE;
    if (step == TRIAL_REFUSE || step == TRIAL_REFUSE_AND_FALL_BACK)
        note_denial(world, tried, false);
    if (step == TRIAL_REFUSE_AND_FALL_BACK)
        fall_back(world, readable);
}

static void pass(struct world *world, bool pending)
{
    look(world);
    tell(world, TRIAL_LOADED, "");
    world->busy = world->changed = false;
    world->pending = world->up && pending;
}

static void go_down(struct world *world)
{
    tell(world, TRIAL_FAILED, "");
    snprintf(world->failed, sizeof world->failed, "%.1s", world->trial.loaded);
    world->up = false;
}

static void crash(struct world *world, bool passes)
{
    struct trial_event event = {.kind = TRIAL_CRASHED, .passes = passes};
    char loaded[17];
    memcpy(loaded, world->trial.loaded, sizeof loaded);
    enum trial_step step = trial_next(&world->trial, &event);
    if (step == TRIAL_REFUSE)
        note_denial(world, loaded, passes);
    if (step == TRIAL_REFUSE || step == TRIAL_FALL_BACK)
        return;
    /* The accepted one fails, too: then the newest get another try. */
    if (step == TRIAL_TRY_AGAIN)
        world->denied = false;
    go_down(world);
}

static void come_up(struct world *world)
{
    tell(world, TRIAL_UP, "");
    world->up = true;
    world->pending = false;
    world->failed[0] = '\0';
    world->proven[number_of(world->trial.loaded) - 1] = true;
}

static void keep(struct world *world)
{
    world->proven[number_of(world->trial.loaded) - 1] = true;
    if (tell(world, TRIAL_PROVEN, "") == TRIAL_WRITE) {
        snprintf(world->kept, sizeof world->kept, "%.1s", world->trial.loaded);
        tell(world, TRIAL_ACCEPTED, "");
    }
}

static void new_pod(struct world *world)
{
    struct world fresh = {.asked = world->asked};
    memcpy(fresh.kept, world->kept, sizeof fresh.kept);
    memcpy(fresh.proven, world->proven, sizeof fresh.proven);
    *world = fresh;
}

/* Which moves there are; the agent looks at what is asked for before each that is its own. */
static bool can(struct world *world, enum move move)
{
    bool due = !world->busy && wanted(world) != TRIAL_REST;
    bool unwritten = !world->busy && !world->up && world->trial.known == KNOWN_NOT_YET;
    bool startable = !world->busy && !world->up && !due && world->trial.known == KNOWN_GOOD;
    switch (move) {
    case ASK_1:
    case ASK_2:
    case ASK_3:
        return world->asked != sources[(int)move - ASK_1];
    case CHANGE:
        return !world->changed;
    case BEGIN:
    case BEGIN_UNKEPT:
        return due || unwritten;
    case PASS:
    case DENY:
    case DENY_UNKEPT:
    case POSTPONE:
        return world->busy;
    case PASS_PENDING:
        return world->busy && world->up;
    case COME_UP:
    case CRASH:
    case CRASH_PASSING:
        return startable;
    case DIE:
        return world->up;
    case STOP:
        return world->up && !world->busy;
    case KEEP:
        return world->up && !world->busy && !due && !world->pending;
    case NEW_POD:
        return !world->up;
    case MOVES:
        break;
    }
    return false;
}

static void make(struct world *world, enum move move)
{
    switch (move) {
    case ASK_1:
    case ASK_2:
    case ASK_3:
        world->asked = sources[(int)move - ASK_1];
        break;
    case CHANGE:
        world->changed = true;
        break;
    case BEGIN:
    case BEGIN_UNKEPT:
        begin(world, move == BEGIN);
        break;
    case PASS:
    case PASS_PENDING:
        pass(world, move == PASS_PENDING);
        break;
    case DENY:
    case DENY_UNKEPT:
        deny(world, move == DENY);
        break;
    case POSTPONE:
        world->busy = false;
        break;
    case COME_UP:
        come_up(world);
        break;
    case CRASH:
    case CRASH_PASSING:
        crash(world, move == CRASH_PASSING);
        break;
    case DIE:
        go_down(world);
        break;
    case STOP:
        world->up = false;
        break;
    case KEEP:
        keep(world);
        break;
    case NEW_POD:
        new_pod(world);
        break;
    case MOVES:
        break;
    }
}

/* ---- every state that there is ---- */

static uint64_t key_of(const struct world *world)
{
    const struct trial *trial = &world->trial;
    const char *trying = world->busy ? trial->trying : ""; /* else it does not matter */
    const char *const hashes[] = {trial->newest,  trying,        trial->loaded, trial->accepted,
                                  trial->refused, world->failed, world->kept,   world->asked};
    uint64_t key = (uint64_t)trial->known + 1;
    for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
        key = key << 2 | (uint64_t)number_of(hashes[i]);
    for (int i = 0; i < SOURCES; i++)
        key = key << 1 | world->proven[i];
    key = key << 1 | trial->doubted;
    key = key << 1 | world->denied;
    key = key << 1 | world->up;
    key = key << 1 | world->pending;
    key = key << 1 | world->busy;
    return key << 1 | world->changed;
}

static struct walk {
    uint64_t seen[TABLE]; /* an open hash table; 0: nothing */
    struct visit {
        struct world world;
        size_t from;
        enum move move;
    } visits[TABLE / 2];
    size_t count;
} walk;

static void add(const struct world *world, size_t from, enum move move)
{
    uint64_t key = key_of(world);
    size_t at = (size_t)(key * 0x9E3779B97F4A7C15ULL >> 32) % TABLE;
    while (walk.seen[at] != 0 && walk.seen[at] != key)
        at = (at + 1) % TABLE;
    if (walk.seen[at] == key)
        return;
    assert_true(walk.count < TABLE / 2);
    walk.seen[at] = key;
    walk.visits[walk.count++] = (struct visit){*world, from, move};
}

/* The way to a state, the last move first. */
static void print_way(size_t at, const char *end)
{
    print_message("%s, at the end of these moves, backwards:", end);
    for (; at != 0; at = walk.visits[at].from)
        print_message(" %s", move_names[walk.visits[at].move]);
    print_message("\n");
}

static int begin_walk(void **state)
{
    (void)state;
    walk.count = 0;
    memset(walk.seen, 0, sizeof walk.seen);
    add(&(struct world){.asked = sources[0]}, 0, ASK_1);
    for (size_t i = 0; i < walk.count && walk.visits[i].world.broken == NULL; i++) {
        for (int move = 0; move < MOVES; move++) {
            struct world world = walk.visits[i].world;
            if (!can(&world, (enum move)move))
                continue;
            make(&world, (enum move)move);
            check_world(&world);
            add(&world, i, (enum move)move);
        }
    }
    return 0;
}

static void nothing_is_tried_that_was_refused_and_only_what_ran_is_kept(void **state)
{
    (void)state;
    for (size_t i = 0; i < walk.count; i++) {
        if (walk.visits[i].world.broken != NULL) {
            print_way(i, walk.visits[i].world.broken);
            fail();
        }
    }
    assert_true(walk.count > 1000);
}

/* The agent alone, without a pause, where each check of what is in `bad` says no: it ends. */
static bool comes_to_rest(struct world world, unsigned bad)
{
    world.paused = false;
    for (int turn = 0; turn < 16; turn++) {
        if (world.busy)
            make(&world, (bad >> number_of(world.trial.trying) & 1) != 0 ? DENY : PASS);
        else if (!world.paused && can(&world, BEGIN))
            make(&world, BEGIN);
        else
            return true;
    }
    return false;
}

static void the_agent_comes_to_rest(void **state)
{
    (void)state;
    for (size_t i = 0; i < walk.count; i++) {
        for (unsigned bad = 0; bad < 1U << (SOURCES + 1); bad += 2) {
            if (!comes_to_rest(walk.visits[i].world, bad)) {
                print_way(i, "the agent tries without end");
                fail();
            }
        }
    }
}

/* From now on all is well: what is asked for runs in the end, unless it was refused for certain, or
 * nothing is left to be started. */
static void what_is_asked_for_runs_once_all_is_well(void **state)
{
    (void)state;
    static const enum move good[] = {PASS, BEGIN, COME_UP, KEEP};
    for (size_t i = 0; i < walk.count; i++) {
        struct world world = walk.visits[i].world;
        for (int turn = 0; turn < 12; turn++)
            for (size_t j = 0; j < sizeof good / sizeof good[0]; j++)
                if (can(&world, good[j]))
                    make(&world, good[j]);
        if (!world.denied && world.trial.known != KNOWN_BAD &&
            !text_same(world.trial.loaded, world.asked)) {
            print_way(i, "what is asked for does not run");
            fail();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_tried_that_was_refused_and_only_what_ran_is_kept),
        cmocka_unit_test(what_is_asked_for_runs_once_all_is_well),
        cmocka_unit_test(the_agent_comes_to_rest),
    };
    return cmocka_run_group_tests(tests, begin_walk, NULL);
}
