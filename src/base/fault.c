// SPDX-License-Identifier: Apache-2.0
#include "base/fault.h"

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

#define FAULT_NAME_MAX 128

static void fault_list(const char *name)
{
	const char *file = getenv("TAKT_FAULT_LIST");
	cleanup_fd int fd = file ? open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;

	if (fd >= 0)
		dprintf(fd, "%s\n", name);
}

static void fault_strike(const char *name)
{
	static atomic_ulong passes;
	const char *wish = getenv("TAKT_FAULT");
	size_t len = wish ? strcspn(wish, ":") : 0;
	unsigned long at = wish && wish[len] == ':' ? strtoul(wish + len + 1, NULL, 10) : 1;

	if (!wish || strlen(name) != len || strncmp(wish, name, len) != 0)
		return;
	if (atomic_fetch_add(&passes, 1) + 1 == at)
		kill(getpid(), SIGKILL);
}

void fault_pass(const char *format, ...)
{
	char name[FAULT_NAME_MAX];
	va_list ap;

	va_start(ap, format);
	vsnprintf(name, sizeof(name), format, ap);
	va_end(ap);
	fault_list(name);
	fault_strike(name);
}
