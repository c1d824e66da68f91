/* All rules; each lives in a file of its own. */
#pragma once

#include "lint/pass.h"

extern const struct lint_rule rule_mig000, rule_mig001, rule_mig002, rule_mig003, rule_mig004,
    rule_mig005, rule_mig006, rule_mig007, rule_mig008, rule_mig009, rule_mig010, rule_mig011,
    rule_mig012, rule_mig013, rule_mig014, rule_mig015, rule_mig016, rule_mig017, rule_mig018,
    rule_mig019, rule_mig020, rule_mig021, rule_mig022, rule_mig023, rule_mig024, rule_mig025,
    rule_mig026, rule_mig027, rule_mig028, rule_mig029, rule_mig030, rule_mig031, rule_mig032,
    rule_mig033, rule_mig034, rule_mig035, rule_mig036, rule_mig037, rule_mig038, rule_mig039,
    rule_mig040, rule_mig041, rule_mig042, rule_mig043;
