/* The metrics that every long-running verb has of its own process; `arg` is not used. */
#pragma once

#include "metrics/metrics.h"

extern const struct metric process_metrics[];
