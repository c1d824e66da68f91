/* What the operator tells on /metrics, rows of `struct control`; ends with a row without a name. */
#pragma once

#include "metrics/metrics.h"

extern const struct metric control_metrics[];
