/* The operator's metrics, read from `struct control`. A row without a name ends the table. */
#pragma once

#include "metrics/metrics.h"

extern const struct metric control_metrics[];
