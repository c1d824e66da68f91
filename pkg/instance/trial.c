#include "instance/trial.h"

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

/* What is asked for again is tried again: why it was refused may be gone. */
static enum trial_step asked(struct trial *trial, const char *hash)
{
    if (!text_same(hash, trial->newest)) {
        set(trial->newest, hash);
        set(trial->refused, "");
    }
    if (is_refused(trial, trial->newest))
        return text_given(trial->loaded) ? TRIAL_TRY_LOADED : TRIAL_REST;
    if (text_same(trial->newest, trial->loaded))
        trial->fallen_back = false;
    return TRIAL_TRY_NEWEST;
}

static enum trial_step begun(struct trial *trial, const char *kept, bool up)
{
    if (!text_given(trial->accepted))
        set(trial->accepted, kept);
    if (!is_refused(trial, trial->newest)) {
        trial->fallen_back = false;
        set(trial->trying, trial->newest);
        return TRIAL_TRY_NEWEST;
    }
    if (!up || !text_given(trial->loaded))
        return TRIAL_FALL_BACK;
    set(trial->trying, trial->loaded);
    return TRIAL_TRY_LOADED;
}

static enum trial_step refused(struct trial *trial, bool up)
{
    if (trial->fallen_back && text_same(trial->trying, trial->accepted)) {
        if (!up)
            trial->known = KNOWN_BAD;
        return TRIAL_REST;
    }
    set(trial->refused, trial->trying);
    return up ? TRIAL_REFUSE : TRIAL_REFUSE_AND_FALL_BACK;
}

static enum trial_step fell_back(struct trial *trial, const char *kept)
{
    if (!text_given(kept) || is_refused(trial, kept)) {
        trial->known = KNOWN_BAD;
        return TRIAL_REST;
    }
    trial->fallen_back = true;
    set(trial->accepted, kept);
    set(trial->trying, kept);
    return TRIAL_TRY_ACCEPTED;
}

static enum trial_step loaded(struct trial *trial)
{
    trial->known = KNOWN_GOOD;
    set(trial->loaded, trial->trying);
    trial->fallen_back = !text_same(trial->newest, trial->loaded);
    return TRIAL_REST;
}

/* It gives way at once, so that one bad configuration does not keep the server down. Where the
 * server had failed with another one, something else may be wrong: see up(). */
static enum trial_step crashed(struct trial *trial, bool passes)
{
    if (trial->fallen_back) {
        /* Then the newest were not to blame, or not alone: they get another try. */
        set(trial->refused, "");
        return TRIAL_TRY_AGAIN;
    }
    if (text_same(trial->loaded, trial->accepted) || !text_given(trial->accepted))
        return TRIAL_REST;
    trial->doubted =
        passes || (text_given(trial->failed) && !text_same(trial->failed, trial->loaded));
    set(trial->refused, trial->loaded);
    trial->known = KNOWN_NOT_YET;
    return TRIAL_REFUSE;
}

static enum trial_step up(struct trial *trial)
{
    if (trial->doubted)
        set(trial->refused, ""); /* something else was wrong, and is not any more */
    trial->doubted = false;
    set(trial->failed, "");
    return TRIAL_REST;
}

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
        return loaded(trial);
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
