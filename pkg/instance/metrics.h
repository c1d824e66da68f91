/* What the agent prints on /metrics, rows of `struct agent`; ends with a row without a name. */
#pragma once

#include "metrics/metrics.h"

extern const struct metric instance_metrics[];
