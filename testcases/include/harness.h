/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kselftest_harness.h for programs that are built with -Wextra, which the
 * header does not stand.
 */
#ifndef LAB_HARNESS_H
#define LAB_HARNESS_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "kselftest_harness.h"
#pragma GCC diagnostic pop

/*
 * Not popped, as TEST_F() expands where it is used: after a failed assertion
 * the forked test may take itself for its parent and abort without teardown.
 * Both ends are judged the same, and no teardown here matters after a failure.
 */
#pragma GCC diagnostic ignored "-Wclobbered"

#endif /* LAB_HARNESS_H */
