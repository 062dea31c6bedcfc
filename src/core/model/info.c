// SPDX-License-Identifier: Apache-2.0
#include "core/model/info.h"

#include <string.h>

static const char *const change_names[_CHANGE_MAX] = {
	[CHANGE_NONE] = "none",
	[CHANGE_RESERVED] = "reserved",
	[CHANGE_BOUND] = "bound",
	[CHANGE_THREAD_ON] = "thread-on",
	[CHANGE_THREAD_OFF] = "thread-off",
	[CHANGE_UNBOUND] = "unbound",
	[CHANGE_RELEASED] = "released",
	[CHANGE_REFUSED] = "refused",
	[CHANGE_TROUBLE] = "trouble",
	[CHANGE_MACHINE] = "machine",
};

static const char *const check_status_names[_CHECK_MAX] = {
	[CHECK_NONE] = "none",
	[CHECK_OK] = "ok",
	[CHECK_LIMITED] = "limited",
	[CHECK_NO] = "no",
};

static const char *const via_names[_VIA_MAX] = {
	[VIA_HOOK] = "hook",
	[VIA_NRI] = "nri",
};

const char *via_name(enum bind_via via)
{
	return via < _VIA_MAX ? via_names[via] : NULL;
}

enum bind_via via_parse(const char *name)
{
	for (enum bind_via v = VIA_HOOK; name && v < _VIA_MAX; v++)
		if (strcmp(via_names[v], name) == 0)
			return v;
	return VIA_NONE;
}

const char *change_name(enum change_kind kind)
{
	return kind < _CHANGE_MAX ? change_names[kind] : change_names[0];
}

const char *check_status_name(enum check_status s)
{
	return s < _CHECK_MAX ? check_status_names[s] : check_status_names[0];
}

enum check_status check_status_parse(const char *name)
{
	for (enum check_status s = CHECK_OK; name && s < _CHECK_MAX; s++)
		if (strcmp(check_status_names[s], name) == 0)
			return s;
	return CHECK_NONE;
}
