/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Assertions on a call's result and its errno at once. A failure reads
 *
 *	mkdir("x", 0700): EBADF (Bad file descriptor), expected success
 *
 * A call fails when it returns a negative value and left the reason in errno,
 * as libc's functions and the sys_*() of these headers do.
 */
#ifndef LAB_ERRNO_ASSERT_H
#define LAB_ERRNO_ASSERT_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"

struct errno_text {
	char text[96];
};

/* "success" or "ENOENT (No such file or directory)" for 0 or -errno. */
static inline struct errno_text errno_text(long result)
{
	struct errno_text said = { "success" };
	const char *name = result < 0 ? strerrorname_np(-result) : NULL;

	if (name)
		snprintf(said.text, sizeof(said.text), "%s (%s)", name, strerrordesc_np(-result));
	else if (result < 0)
		snprintf(said.text, sizeof(said.text), "error %ld", -result);
	return said;
}

/* Ends the test with a text of its own, on behalf of the line that asked. */
__attribute__((format(printf, 4, 5), noreturn))
static inline void fail_at(struct __test_metadata *_metadata, const char *file, int line, const char *format, ...)
{
	va_list arguments;

	fprintf(TH_LOG_STREAM, "# %s:%d:%s:", file, line, _metadata->name);
	va_start(arguments, format);
	vfprintf(TH_LOG_STREAM, format, arguments);
	va_end(arguments);
	fputc('\n', TH_LOG_STREAM);
	_metadata->exit_code = KSFT_FAIL;
	__bail(1, _metadata);
	__builtin_unreachable();
}

#define FAIL(format, ...) fail_at(_metadata, __FILE__, __LINE__, format, ##__VA_ARGS__)

/* The call's result, which is not negative. */
#define ASSERT_OK(call) ({							\
	__typeof__(call) __result = (call);					\
										\
	if (__result < 0)							\
		FAIL("%s: %s, expected success", #call, errno_text(-errno).text); \
	__result;								\
})

/* The call fails with this error, given as -ENOENT. */
#define ASSERT_ERRNO_EQ(wanted, call) do {					\
	long __result = (call);							\
	long __wanted = (wanted);						\
										\
	__result = __result < 0 ? -errno : 0;					\
	if (__result != __wanted)						\
		FAIL("%s: %s, expected %s", #call, errno_text(__result).text,	\
		     errno_text(__wanted).text);				\
} while (0)

#endif /* LAB_ERRNO_ASSERT_H */
