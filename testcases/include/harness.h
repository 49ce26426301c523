/* SPDX-License-Identifier: GPL-2.0 */
/*
 * kselftest_harness.h for programs that are built with -Wextra, which the
 * header does not stand.
 */
#ifndef LAB_HARNESS_H
#define LAB_HARNESS_H

/*
 * Not popped: TEST() and TEST_F() expand where they are used.
 *
 * -Wclobbered is right: after a failed assertion the forked test may take
 * itself for its parent, and abort without teardown. Both ends are judged the
 * same, and no teardown here matters after a failure.
 */
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wclobbered"
#include "kselftest_harness.h"

#endif /* LAB_HARNESS_H */
