// SPDX-License-Identifier: GPL-2.0
/* Symlinks whose text is their own name: of no use, and refused by the series of tests/data/series/self-symlink. */
#define _GNU_SOURCE
#include <unistd.h>

#include "errno_assert.h"

TEST(own_name)
{
	ASSERT_ERRNO_EQ(-ELOOP, symlink("x", "x"));
}

TEST(other_name)
{
	char text[8];

	ASSERT_OK(symlink("y", "x"));
	ASSERT_EQ(1, readlink("x", text, sizeof(text)));
	ASSERT_EQ('y', text[0]);
}

TEST_HARNESS_MAIN
