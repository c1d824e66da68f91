/*
 * The configuration files of one instance, as text. Pure. The shared part comes from the cluster's
 * ConfigMap; behind it stands the instance's own part, which wins, because the last setting of a
 * name counts.
 */
#pragma once

#include "base/arena.h"
#include "base/error.h"
#include "postgres/controldata.h"

struct conf_input {
    const char *shared;   /* ConfigMap key postgresql.conf */
    const char *instance; /* "a-2": cluster_name, application_name */
    const char *run_dir;  /* socket; pg_hba.conf and tls/ are below it */
    const char *listen;   /* "*" */
    int port;
    bool tls;    /* certificate and key are there */
    bool named;  /* the certificate, which all instances share, carries primary_host */
    bool syncfs; /* tree_can_syncfs() */
    const char *primary_host;
    int primary_port;
    const char *slot; /* primary_slot_name */
    /* What the standby's data needs at least; NULL on a primary. */
    const struct controldata *standby_floor;
};

char *conf_render(struct arena *arena, const struct conf_input *input);

/* Does the standby's data need more of a limit than the shared part asks for? */
bool conf_is_lifted(const struct conf_input *input);

/* Keyword string for libpq: how this instance reaches the primary as a replica. */
char *conf_primary_conninfo(struct arena *arena, const struct conf_input *input);

/* The same for a clone, under another name: a count of streaming replicas must not include a
 * copy. `address` of the primary's pod ("" when unknown) is tried before the Service, which leads
 * to a new primary only once every node has heard of it. */
char *conf_clone_conninfo(struct arena *arena, const struct conf_input *input, const char *address);

/* The value a setting has in postgresql.conf text (the last one counts), or NULL. */
char *conf_setting(struct arena *arena, const char *text, const char *name);

/* libpq passfile: one user, any host. ':' and '\' in the password are escaped; a line break in it
 * cannot be, and gives ERR_INVALID. */
int conf_passfile(struct arena *arena, const char *user, const char *password, char **ret_text,
                  struct error *err) ERR_CHECKED;

/* 'text' with quotes doubled, as postgresql.conf and SQL want it. */
char *conf_quote(struct arena *arena, const char *text);
