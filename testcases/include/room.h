/* SPDX-License-Identifier: GPL-2.0 */
/* Taking the room that a name would need. */
#ifndef LAB_ROOM_H
#define LAB_ROOM_H

#include "relink.h"

/*
 * Links to a file, in a directory of one block of the ext family, until not
 * even the shortest name fits between them.
 */
static inline void fill_directory(struct __test_metadata *_metadata, const char *file, const char *folder, long block)
{
	long left = block - 3 * 12;	/* . and .. and, where there is one, the checksum */
	char path[512];

	while (left >= 12) {
		long entry = left < 248 ? left / 4 * 4 : 248;

		snprintf(path, sizeof(path), "%s/%0*ld", folder, (int)entry - 8, left);
		ASSERT_OK(link(file, path));
		left -= entry;
	}
}

#endif /* LAB_ROOM_H */
