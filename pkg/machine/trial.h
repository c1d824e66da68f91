/*
 * Which configuration is tried, and what follows from how it went. The sources that are asked for
 * (the newest) are tried first. What a server came up with is kept on the volume as accepted; it
 * goes on when the newest are refused, by the server's own check or by a start that fails. A
 * refusal lasts until something else is asked for, or until it is in doubt: the server had failed
 * with another configuration, too. Sources are known by their hash, "" for none. Pure.
 */
#pragma once

#include <stdbool.h>

#include "machine/machine.h"

struct trial {
    enum known known;  /* can a server be started with what is loaded? */
    char newest[17];   /* what is asked for */
    char trying[17];   /* what is being checked and loaded, or was last */
    char loaded[17];   /* what the files hold; a server that runs has read them */
    char accepted[17]; /* what the volume keeps as proven */
    char refused[17];  /* what was found bad */
    char failed[17];   /* with what the server failed last since it was up */
    bool doubted;      /* the refusal is: the server had failed with something else, too */
};

enum trial_kind {
    TRIAL_ASKED,   /* `hash` is asked for */
    TRIAL_BEGUN,   /* the files shall be written; `hash` is what the volume keeps, if it is known */
    TRIAL_REFUSED, /* the server's check says no to what is tried */
    TRIAL_FELL_BACK, /* `hash` is what the volume keeps, "" if that cannot be read */
    TRIAL_LOADED,    /* the files hold what was tried, and a server that runs has read them */
    TRIAL_UP,        /* a server came up */
    TRIAL_PROVEN,    /* it runs with all of what is loaded */
    TRIAL_ACCEPTED,  /* the volume keeps what is loaded */
    TRIAL_CRASHED,   /* a server ended before it was up */
    TRIAL_FAILED,    /* a server ended, and what is loaded is not to blame */
};

struct trial_event {
    enum trial_kind kind;
    const char *hash;
    bool up;     /* TRIAL_BEGUN, TRIAL_REFUSED: a server runs */
    bool passes; /* TRIAL_CRASHED: for a cause that goes by itself */
};

enum trial_step {
    TRIAL_REST,       /* nothing follows */
    TRIAL_TRY_NEWEST, /* check and load it. After TRIAL_ASKED: this is what the files shall hold */
    TRIAL_TRY_LOADED, /* likewise: the same sources, with a new part of the instance */
    TRIAL_TRY_ACCEPTED, /* likewise */
    TRIAL_REFUSE,       /* tell that it is refused; what is loaded goes on, or the next begins */
    TRIAL_POSTPONE,     /* try it again after a pause */
    TRIAL_FALL_BACK,    /* look for what the volume keeps */
    TRIAL_REFUSE_AND_FALL_BACK,
    TRIAL_TRY_AGAIN, /* what was refused is to be tried once more: look at what is asked for */
    TRIAL_WRITE,     /* have the volume keep what is loaded */
};

enum trial_step trial_next(struct trial *trial, const struct trial_event *event);
