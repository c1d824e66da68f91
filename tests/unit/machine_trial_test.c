/* Every state of the trial of a configuration with every event. */
#include "test.h"

#include <stdio.h>

#include "machine/trial.h"

/* States in words: can a server be started with what is loaded, and the sources that are asked for,
 * tried, loaded, accepted, refused, and failed with; then marks. `n` is what is asked for, `a` is
 * what a server came up with before, `o` is something else, and `-` is none. */
enum state {
    NOTHING,     /* a new process */
    FIRST,       /* the first ones are loaded, and nothing is accepted yet */
    PROVEN,      /* what is asked for is loaded and accepted */
    FAILING,     /* the same, and the server has failed with it */
    WAITING,     /* what is asked for is loaded, and waits for a restart */
    SUSPECT,     /* the same, and the server has failed with the accepted ones */
    WITHSTOOD,   /* a check has refused what is asked for, and the accepted ones go on */
    GAVE_WAY,    /* a start has failed with what is asked for */
    FALLEN_BACK, /* and the accepted ones are loaded since */
    DOUBTED,     /* the same, but the server has failed with the accepted ones, too */
    STUCK,       /* what is asked for is refused, and there is nothing else */
    STATES
};

static const char *const states[STATES] = {
    [NOTHING] = "NOT_YET - - - - - -",  [FIRST] = "GOOD n n n - - -",
    [PROVEN] = "GOOD n n n n - -",      [FAILING] = "GOOD n n n n - n",
    [WAITING] = "GOOD n n n a - -",     [SUSPECT] = "GOOD n n n a - a",
    [WITHSTOOD] = "GOOD n n a a n -",   [GAVE_WAY] = "NOT_YET n n n a n -",
    [FALLEN_BACK] = "GOOD n a a a n -", [DOUBTED] = "GOOD n a a a n a doubted",
    [STUCK] = "BAD n n - - n -",
};

enum input {
    SAME,      /* n is asked for */
    OTHER,     /* o is */
    BEGIN,     /* without a server; the volume keeps a */
    BEGIN_UP,  /* with one */
    REFUSE,    /* what is tried is refused without a server */
    REFUSE_UP, /* with one */
    KEPT,      /* the volume keeps a */
    NONE_KEPT, /* nothing that can be read */
    LOAD,
    UP,
    PROVE,
    ACCEPT,
    CRASH,      /* before the server was up */
    CRASH_FULL, /* likewise, for a cause that passes */
    FAIL,
    INPUTS
};

static const struct trial_event inputs[INPUTS] = {
    [SAME] = {TRIAL_ASKED, "n", 0, 0},     [OTHER] = {TRIAL_ASKED, "o", 0, 0},
    [BEGIN] = {TRIAL_BEGUN, "a", 0, 0},    [BEGIN_UP] = {TRIAL_BEGUN, "a", 1, 0},
    [REFUSE] = {TRIAL_REFUSED, "", 0, 0},  [REFUSE_UP] = {TRIAL_REFUSED, "", 1, 0},
    [KEPT] = {TRIAL_FELL_BACK, "a", 0, 0}, [NONE_KEPT] = {TRIAL_FELL_BACK, "", 0, 0},
    [LOAD] = {TRIAL_LOADED, "", 0, 0},     [UP] = {TRIAL_UP, "", 0, 0},
    [PROVE] = {TRIAL_PROVEN, "", 0, 0},    [ACCEPT] = {TRIAL_ACCEPTED, "", 0, 0},
    [CRASH] = {TRIAL_CRASHED, "", 0, 0},   [CRASH_FULL] = {TRIAL_CRASHED, "", 0, 1},
    [FAIL] = {TRIAL_FAILED, "", 0, 0},
};

static void read_state(const char *text, struct trial *trial)
{
    char known[16];
    char *places[] = {trial->newest,   trial->trying,  trial->loaded,
                      trial->accepted, trial->refused, trial->failed};
    *trial = (struct trial){0};
    assert_int_equal(sscanf(text, "%15s %16s %16s %16s %16s %16s %16s", known, places[0], places[1],
                            places[2], places[3], places[4], places[5]),
                     7);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        if (strcmp(places[i], "-") == 0)
            places[i][0] = '\0';
    trial->known = strcmp(known, "GOOD") == 0  ? KNOWN_GOOD
                   : strcmp(known, "BAD") == 0 ? KNOWN_BAD
                                               : KNOWN_NOT_YET;
    trial->doubted = strstr(text, " doubted") != NULL;
}

#define DASH(place) (trial->place[0] ? trial->place : "-")

static void print_state(const struct trial *trial, char text[128])
{
    static const char *const known[] = {
        [KNOWN_NOT_YET] = "NOT_YET", [KNOWN_GOOD] = "GOOD", [KNOWN_BAD] = "BAD"};
    snprintf(text, 128, "%s %s %s %s %s %s %s%s", known[trial->known], DASH(newest), DASH(trying),
             DASH(loaded), DASH(accepted), DASH(refused), DASH(failed),
             trial->doubted ? " doubted" : "");
}

static const struct row {
    enum state state;
    enum input input;
    enum trial_step step;
    const char *after;
} rows[] = {
    {NOTHING, SAME, TRIAL_TRY_NEWEST, "NOT_YET n - - - - -"},
    {NOTHING, OTHER, TRIAL_TRY_NEWEST, "NOT_YET o - - - - -"},
    {NOTHING, BEGIN, TRIAL_TRY_NEWEST, "NOT_YET - - - a - -"},
    {NOTHING, BEGIN_UP, TRIAL_TRY_NEWEST, "NOT_YET - - - a - -"},
    {NOTHING, REFUSE, TRIAL_REFUSE_AND_FALL_BACK, "NOT_YET - - - - - -"},
    {NOTHING, REFUSE_UP, TRIAL_POSTPONE, "NOT_YET - - - - - -"},
    {NOTHING, KEPT, TRIAL_TRY_ACCEPTED, "NOT_YET - a - a - -"},
    {NOTHING, NONE_KEPT, TRIAL_REST, "BAD - - - - - -"},
    {NOTHING, LOAD, TRIAL_REST, "GOOD - - - - - -"},
    {FIRST, SAME, TRIAL_TRY_NEWEST, "GOOD n n n - - -"},
    {FIRST, OTHER, TRIAL_TRY_NEWEST, "GOOD o n n - - -"},
    {FIRST, BEGIN, TRIAL_TRY_NEWEST, "GOOD n n n a - -"},
    {FIRST, BEGIN_UP, TRIAL_TRY_NEWEST, "GOOD n n n a - -"},
    {FIRST, REFUSE, TRIAL_REFUSE_AND_FALL_BACK, "GOOD n n n - n -"},
    {FIRST, REFUSE_UP, TRIAL_POSTPONE, "GOOD n n n - - -"},
    {FIRST, KEPT, TRIAL_TRY_ACCEPTED, "GOOD n a n a - -"},
    {FIRST, NONE_KEPT, TRIAL_REST, "BAD n n n - - -"},
    {FIRST, PROVE, TRIAL_WRITE, "GOOD n n n - - -"},
    {FIRST, ACCEPT, TRIAL_REST, "GOOD n n n n - -"},
    {FIRST, FAIL, TRIAL_REST, "GOOD n n n - - n"},
    {PROVEN, SAME, TRIAL_TRY_NEWEST, "GOOD n n n n - -"},
    {PROVEN, OTHER, TRIAL_TRY_NEWEST, "GOOD o n n n - -"},
    {PROVEN, BEGIN, TRIAL_TRY_NEWEST, "GOOD n n n n - -"},
    {PROVEN, BEGIN_UP, TRIAL_TRY_NEWEST, "GOOD n n n n - -"},
    {PROVEN, REFUSE, TRIAL_REFUSE_AND_FALL_BACK, "GOOD n n n n n -"},
    {PROVEN, REFUSE_UP, TRIAL_POSTPONE, "GOOD n n n n - -"},
    {PROVEN, KEPT, TRIAL_TRY_ACCEPTED, "GOOD n a n a - -"},
    {PROVEN, NONE_KEPT, TRIAL_REST, "BAD n n n n - -"},
    {PROVEN, FAIL, TRIAL_REST, "GOOD n n n n - n"},
    {FAILING, SAME, TRIAL_TRY_NEWEST, "GOOD n n n n - n"},
    {FAILING, OTHER, TRIAL_TRY_NEWEST, "GOOD o n n n - n"},
    {FAILING, BEGIN, TRIAL_TRY_NEWEST, "GOOD n n n n - n"},
    {FAILING, BEGIN_UP, TRIAL_TRY_NEWEST, "GOOD n n n n - n"},
    {FAILING, REFUSE, TRIAL_REFUSE_AND_FALL_BACK, "GOOD n n n n n n"},
    {FAILING, REFUSE_UP, TRIAL_POSTPONE, "GOOD n n n n - n"},
    {FAILING, KEPT, TRIAL_TRY_ACCEPTED, "GOOD n a n a - n"},
    {FAILING, NONE_KEPT, TRIAL_REST, "BAD n n n n - n"},
    {FAILING, UP, TRIAL_REST, "GOOD n n n n - -"},
    {WAITING, SAME, TRIAL_TRY_NEWEST, "GOOD n n n a - -"},
    {WAITING, OTHER, TRIAL_TRY_NEWEST, "GOOD o n n a - -"},
    {WAITING, BEGIN, TRIAL_TRY_NEWEST, "GOOD n n n a - -"},
    {WAITING, BEGIN_UP, TRIAL_TRY_NEWEST, "GOOD n n n a - -"},
    {WAITING, REFUSE, TRIAL_REFUSE_AND_FALL_BACK, "GOOD n n n a n -"},
    {WAITING, REFUSE_UP, TRIAL_POSTPONE, "GOOD n n n a - -"},
    {WAITING, KEPT, TRIAL_TRY_ACCEPTED, "GOOD n a n a - -"},
    {WAITING, NONE_KEPT, TRIAL_REST, "BAD n n n a - -"},
    {WAITING, PROVE, TRIAL_WRITE, "GOOD n n n a - -"},
    {WAITING, ACCEPT, TRIAL_REST, "GOOD n n n n - -"},
    {WAITING, CRASH, TRIAL_REFUSE, "NOT_YET n n n a n -"},
    {WAITING, CRASH_FULL, TRIAL_REFUSE, "NOT_YET n n n a n - doubted"},
    {WAITING, FAIL, TRIAL_REST, "GOOD n n n a - n"},
    {SUSPECT, SAME, TRIAL_TRY_NEWEST, "GOOD n n n a - a"},
    {SUSPECT, OTHER, TRIAL_TRY_NEWEST, "GOOD o n n a - a"},
    {SUSPECT, BEGIN, TRIAL_TRY_NEWEST, "GOOD n n n a - a"},
    {SUSPECT, BEGIN_UP, TRIAL_TRY_NEWEST, "GOOD n n n a - a"},
    {SUSPECT, REFUSE, TRIAL_REFUSE_AND_FALL_BACK, "GOOD n n n a n a doubted"},
    {SUSPECT, REFUSE_UP, TRIAL_POSTPONE, "GOOD n n n a - a"},
    {SUSPECT, KEPT, TRIAL_TRY_ACCEPTED, "GOOD n a n a - a"},
    {SUSPECT, NONE_KEPT, TRIAL_REST, "BAD n n n a - a"},
    {SUSPECT, UP, TRIAL_REST, "GOOD n n n a - -"},
    {SUSPECT, PROVE, TRIAL_WRITE, "GOOD n n n a - a"},
    {SUSPECT, ACCEPT, TRIAL_REST, "GOOD n n n n - a"},
    {SUSPECT, CRASH, TRIAL_REFUSE, "NOT_YET n n n a n a doubted"},
    {SUSPECT, CRASH_FULL, TRIAL_REFUSE, "NOT_YET n n n a n a doubted"},
    {SUSPECT, FAIL, TRIAL_REST, "GOOD n n n a - n"},
    {WITHSTOOD, SAME, TRIAL_TRY_LOADED, "GOOD n n a a n -"},
    {WITHSTOOD, OTHER, TRIAL_TRY_NEWEST, "GOOD o n a a - -"},
    {WITHSTOOD, BEGIN, TRIAL_FALL_BACK, "GOOD n n a a n -"},
    {WITHSTOOD, BEGIN_UP, TRIAL_TRY_LOADED, "GOOD n a a a n -"},
    {WITHSTOOD, REFUSE, TRIAL_REST, "BAD n n a a n -"},
    {WITHSTOOD, REFUSE_UP, TRIAL_POSTPONE, "GOOD n n a a n -"},
    {WITHSTOOD, KEPT, TRIAL_TRY_ACCEPTED, "GOOD n a a a n -"},
    {WITHSTOOD, NONE_KEPT, TRIAL_REST, "BAD n n a a n -"},
    {WITHSTOOD, LOAD, TRIAL_REST, "GOOD n n n a n -"},
    {WITHSTOOD, CRASH, TRIAL_TRY_AGAIN, "GOOD n n a a - -"},
    {WITHSTOOD, CRASH_FULL, TRIAL_TRY_AGAIN, "GOOD n n a a - -"},
    {WITHSTOOD, FAIL, TRIAL_REST, "GOOD n n a a n a"},
    {GAVE_WAY, OTHER, TRIAL_TRY_NEWEST, "NOT_YET o n n a - -"},
    {GAVE_WAY, BEGIN, TRIAL_FALL_BACK, "NOT_YET n n n a n -"},
    {GAVE_WAY, BEGIN_UP, TRIAL_TRY_LOADED, "NOT_YET n n n a n -"},
    {GAVE_WAY, REFUSE, TRIAL_REST, "BAD n n n a n -"},
    {GAVE_WAY, REFUSE_UP, TRIAL_POSTPONE, "NOT_YET n n n a n -"},
    {GAVE_WAY, KEPT, TRIAL_TRY_ACCEPTED, "NOT_YET n a n a n -"},
    {GAVE_WAY, NONE_KEPT, TRIAL_REST, "BAD n n n a n -"},
    {GAVE_WAY, LOAD, TRIAL_REST, "GOOD n n n a n -"},
    {GAVE_WAY, PROVE, TRIAL_WRITE, "NOT_YET n n n a n -"},
    {GAVE_WAY, ACCEPT, TRIAL_REST, "NOT_YET n n n n n -"},
    {GAVE_WAY, CRASH, TRIAL_FALL_BACK, "NOT_YET n n n a n -"},
    {GAVE_WAY, CRASH_FULL, TRIAL_FALL_BACK, "NOT_YET n n n a n -"},
    {GAVE_WAY, FAIL, TRIAL_REST, "NOT_YET n n n a n n"},
    {FALLEN_BACK, SAME, TRIAL_TRY_LOADED, "GOOD n a a a n -"},
    {FALLEN_BACK, OTHER, TRIAL_TRY_NEWEST, "GOOD o a a a - -"},
    {FALLEN_BACK, BEGIN, TRIAL_FALL_BACK, "GOOD n a a a n -"},
    {FALLEN_BACK, BEGIN_UP, TRIAL_TRY_LOADED, "GOOD n a a a n -"},
    {FALLEN_BACK, REFUSE, TRIAL_REST, "BAD n a a a n -"},
    {FALLEN_BACK, REFUSE_UP, TRIAL_POSTPONE, "GOOD n a a a n -"},
    {FALLEN_BACK, KEPT, TRIAL_TRY_ACCEPTED, "GOOD n a a a n -"},
    {FALLEN_BACK, NONE_KEPT, TRIAL_REST, "BAD n a a a n -"},
    {FALLEN_BACK, CRASH, TRIAL_TRY_AGAIN, "GOOD n a a a - -"},
    {FALLEN_BACK, CRASH_FULL, TRIAL_TRY_AGAIN, "GOOD n a a a - -"},
    {FALLEN_BACK, FAIL, TRIAL_REST, "GOOD n a a a n a"},
    {DOUBTED, SAME, TRIAL_TRY_LOADED, "GOOD n a a a n a doubted"},
    {DOUBTED, OTHER, TRIAL_TRY_NEWEST, "GOOD o a a a - a"},
    {DOUBTED, BEGIN, TRIAL_FALL_BACK, "GOOD n a a a n a doubted"},
    {DOUBTED, BEGIN_UP, TRIAL_TRY_LOADED, "GOOD n a a a n a doubted"},
    {DOUBTED, REFUSE, TRIAL_REST, "BAD n a a a n a doubted"},
    {DOUBTED, REFUSE_UP, TRIAL_POSTPONE, "GOOD n a a a n a doubted"},
    {DOUBTED, KEPT, TRIAL_TRY_ACCEPTED, "GOOD n a a a n a doubted"},
    {DOUBTED, NONE_KEPT, TRIAL_REST, "BAD n a a a n a doubted"},
    {DOUBTED, UP, TRIAL_REST, "GOOD n a a a - -"},
    {DOUBTED, CRASH, TRIAL_TRY_AGAIN, "GOOD n a a a - a"},
    {DOUBTED, CRASH_FULL, TRIAL_TRY_AGAIN, "GOOD n a a a - a"},
    {STUCK, OTHER, TRIAL_TRY_NEWEST, "BAD o n - - - -"},
    {STUCK, BEGIN, TRIAL_FALL_BACK, "BAD n n - a n -"},
    {STUCK, BEGIN_UP, TRIAL_FALL_BACK, "BAD n n - a n -"},
    {STUCK, REFUSE_UP, TRIAL_POSTPONE, "BAD n n - - n -"},
    {STUCK, KEPT, TRIAL_TRY_ACCEPTED, "BAD n a - a n -"},
    {STUCK, LOAD, TRIAL_REST, "GOOD n n n - n -"},
    {STUCK, CRASH, TRIAL_TRY_AGAIN, "BAD n n - - - -"},
    {STUCK, CRASH_FULL, TRIAL_TRY_AGAIN, "BAD n n - - - -"},
};

static const struct row *find_row(int state, int input)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if ((int)rows[i].state == state && (int)rows[i].input == input)
            return &rows[i];
    return NULL;
}

/* A pair without a row changes nothing, and nothing follows from it. */
static void each_event_in_each_state(void **state)
{
    (void)state;
    for (int s = 0; s < STATES; s++) {
        for (int i = 0; i < INPUTS; i++) {
            const struct row *row = find_row(s, i);
            struct trial trial;
            char after[128], announced[256], wanted[256];
            read_state(states[s], &trial);
            enum trial_step step = trial_next(&trial, &inputs[i]);
            print_state(&trial, after);
            snprintf(announced, sizeof announced, "state %d, input %d: step %d, %s", s, i, step,
                     after);
            snprintf(wanted, sizeof wanted, "state %d, input %d: step %d, %s", s, i,
                     row ? row->step : TRIAL_REST, row ? row->after : states[s]);
            assert_string_equal(announced, wanted);
        }
    }
}

/* What the corrections of these rules were about, as sequences of events. */
struct scene {
    enum input input;
    enum trial_step step;
};

static void play(const char *from, const struct scene *scenes, size_t count, const char *to)
{
    struct trial trial;
    char text[128];
    read_state(from, &trial);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(trial_next(&trial, &inputs[scenes[i].input]), scenes[i].step);
    print_state(&trial, text);
    assert_string_equal(text, to);
}

#define PLAY(from, to, ...)                                                                        \
    play(from, (const struct scene[]){__VA_ARGS__},                                                \
         sizeof(const struct scene[]){__VA_ARGS__} / sizeof(struct scene), to)

/* Good, bad, good and bad again: it is refused twice, and each time in words. */
static void a_refusal_lasts_until_something_else_is_asked_for(void **state)
{
    (void)state;
    PLAY("GOOD a a a a - -", "GOOD n n a a n -", {SAME, TRIAL_TRY_NEWEST},
         {BEGIN_UP, TRIAL_TRY_NEWEST}, {REFUSE_UP, TRIAL_REFUSE}, {SAME, TRIAL_TRY_LOADED},
         {OTHER, TRIAL_TRY_NEWEST}, {SAME, TRIAL_TRY_NEWEST}, {BEGIN_UP, TRIAL_TRY_NEWEST},
         {REFUSE_UP, TRIAL_REFUSE}, {SAME, TRIAL_TRY_LOADED});
}

/* One crash, however long ago, does not keep a bad one from giving way. */
static void a_configuration_gives_way_even_if_the_server_had_failed_before_it(void **state)
{
    (void)state;
    PLAY("GOOD a a a a - -", "GOOD n a a a n a doubted", {FAIL, TRIAL_REST},
         {SAME, TRIAL_TRY_NEWEST}, {BEGIN, TRIAL_TRY_NEWEST}, {LOAD, TRIAL_REST},
         {CRASH, TRIAL_REFUSE}, {SAME, TRIAL_REST}, {BEGIN, TRIAL_FALL_BACK},
         {KEPT, TRIAL_TRY_ACCEPTED}, {LOAD, TRIAL_REST});
}

/* And is not blamed for good for what began before it: once the server is up it is tried again. */
static void a_doubted_refusal_ends_when_the_server_comes_up(void **state)
{
    (void)state;
    PLAY("GOOD n a a a n a doubted", "GOOD n n n a - -", {UP, TRIAL_REST}, {SAME, TRIAL_TRY_NEWEST},
         {BEGIN_UP, TRIAL_TRY_NEWEST}, {LOAD, TRIAL_REST});
    PLAY("GOOD n a a a n -", "GOOD n a a a n -", {UP, TRIAL_REST}, {SAME, TRIAL_TRY_LOADED});
}

/* Nor if the accepted one fails, too. */
static void a_refusal_ends_when_the_server_does_not_start_with_the_accepted_one(void **state)
{
    (void)state;
    PLAY("GOOD n a a a n -", "GOOD n a a a - a", {CRASH, TRIAL_TRY_AGAIN}, {FAIL, TRIAL_REST},
         {SAME, TRIAL_TRY_NEWEST});
}

/* A start that lacked room for prepared transactions is for a cause that goes by itself. */
static void a_crash_whose_cause_passes_is_doubted(void **state)
{
    (void)state;
    PLAY("GOOD n n n a - -", "NOT_YET n n n a n - doubted", {CRASH_FULL, TRIAL_REFUSE});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_event_in_each_state),
        cmocka_unit_test(a_refusal_lasts_until_something_else_is_asked_for),
        cmocka_unit_test(a_configuration_gives_way_even_if_the_server_had_failed_before_it),
        cmocka_unit_test(a_doubted_refusal_ends_when_the_server_comes_up),
        cmocka_unit_test(a_refusal_ends_when_the_server_does_not_start_with_the_accepted_one),
        cmocka_unit_test(a_crash_whose_cause_passes_is_doubted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
