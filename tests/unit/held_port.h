/* A port that stays a test's own while other programs run beside it. */
#pragma once

#include <arpa/inet.h>
#include <sys/socket.h>

#include "test.h"

/*
 * Binds a socket that never listens and returns its port; close `*holder` when the test is over.
 * The kernel gives the port to nothing else meanwhile, and lets what sets SO_REUSEADDR listen on
 * it. A number that was free a moment ago may be another program's by the time it is needed.
 */
static inline int held_port(int *holder)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof here;
    const int yes = 1;
    *holder = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(setsockopt(*holder, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
    assert_int_equal(bind(*holder, (struct sockaddr *)&here, length), 0);
    assert_int_equal(getsockname(*holder, (struct sockaddr *)&here, &length), 0);
    return ntohs(here.sin_port);
}
