#include "machine/trial.h"

#include <stdio.h>

#include "base/text.h"

static void set(char place[17], const char *hash)
{
    snprintf(place, 17, "%s", hash);
}

static bool is_refused(const struct trial *trial, const char *hash)
{
    return text_given(hash) && text_same(hash, trial->refused);
}

/* Something else than `hash` may be to blame: the server failed without it, too. */
static bool is_doubtful(const struct trial *trial, const char *hash)
{
    return text_given(trial->failed) && !text_same(trial->failed, hash);
}

static void refuse(struct trial *trial, const char *hash, bool doubted)
{
    set(trial->refused, hash);
    trial->doubted = doubted;
}

static void forgive(struct trial *trial)
{
    refuse(trial, "", false);
}

static enum trial_step asked(struct trial *trial, const char *hash)
{
    /* What is asked for again is tried again: why it was refused may be gone. */
    if (!text_same(hash, trial->newest))
        forgive(trial);
    set(trial->newest, hash);
    if (!is_refused(trial, trial->newest))
        return TRIAL_TRY_NEWEST;
    return trial->known == KNOWN_GOOD ? TRIAL_TRY_LOADED : TRIAL_REST;
}

static enum trial_step begun(struct trial *trial, const char *kept, bool up)
{
    if (!text_given(trial->accepted))
        set(trial->accepted, kept);
    if (!is_refused(trial, trial->newest)) {
        set(trial->trying, trial->newest);
        return TRIAL_TRY_NEWEST;
    }
    if (!up || !text_given(trial->loaded))
        return TRIAL_FALL_BACK;
    set(trial->trying, trial->loaded);
    return TRIAL_TRY_LOADED;
}

/* With what a server runs is not bad: a verdict on it is about something else, which may go. When
 * the accepted ones are refused in the place of the newest, there is nothing else to try. */
static enum trial_step refused(struct trial *trial, bool up)
{
    bool stands_in = is_refused(trial, trial->newest);
    if (up && (stands_in || text_same(trial->trying, trial->loaded)))
        return TRIAL_POSTPONE;
    if (stands_in) {
        trial->known = KNOWN_BAD;
        return TRIAL_REST;
    }
    refuse(trial, trial->trying, is_doubtful(trial, trial->trying));
    return up ? TRIAL_REFUSE : TRIAL_REFUSE_AND_FALL_BACK;
}

static enum trial_step fell_back(struct trial *trial, const char *kept)
{
    if (!text_given(kept) || is_refused(trial, kept)) {
        trial->known = KNOWN_BAD;
        return TRIAL_REST;
    }
    set(trial->accepted, kept);
    set(trial->trying, kept);
    return TRIAL_TRY_ACCEPTED;
}

/* What no server came up with gives way at once to what one did. When that fails, too, or there is
 * none, the newest were not to blame, or not alone: they get another try. */
static enum trial_step crashed(struct trial *trial, bool passes)
{
    bool was_refused = is_refused(trial, trial->newest);
    if (text_same(trial->loaded, trial->accepted) || !text_given(trial->accepted)) {
        if (was_refused)
            forgive(trial);
        return was_refused ? TRIAL_TRY_AGAIN : TRIAL_REST;
    }
    trial->known = KNOWN_NOT_YET;
    if (was_refused)
        return TRIAL_FALL_BACK;
    refuse(trial, trial->loaded, passes || is_doubtful(trial, trial->loaded));
    return TRIAL_REFUSE;
}

static enum trial_step up(struct trial *trial)
{
    if (trial->doubted)
        forgive(trial); /* something else was wrong, and is not any more */
    set(trial->failed, "");
    return TRIAL_REST;
}

/* Every rule of a trial is in the functions above, so that a table can test each event in each
 * state. */
enum trial_step trial_next(struct trial *trial, const struct trial_event *event)
{
    switch (event->kind) {
    case TRIAL_ASKED:
        return asked(trial, event->hash);
    case TRIAL_BEGUN:
        return begun(trial, event->hash, event->up);
    case TRIAL_REFUSED:
        return refused(trial, event->up);
    case TRIAL_FELL_BACK:
        return fell_back(trial, event->hash);
    case TRIAL_LOADED:
        trial->known = KNOWN_GOOD;
        set(trial->loaded, trial->trying);
        return TRIAL_REST;
    case TRIAL_UP:
        return up(trial);
    case TRIAL_PROVEN:
        return text_same(trial->accepted, trial->loaded) ? TRIAL_REST : TRIAL_WRITE;
    case TRIAL_ACCEPTED:
        set(trial->accepted, trial->loaded);
        return TRIAL_REST;
    case TRIAL_CRASHED:
        return crashed(trial, event->passes);
    case TRIAL_FAILED:
        set(trial->failed, trial->loaded);
        return TRIAL_REST;
    }
    return TRIAL_REST;
}
