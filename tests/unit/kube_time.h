/* A scripted API server, and a client whose time passes only when a test says so. */
#pragma once

#include "kube_server.h"
#include "loop_time.h"
