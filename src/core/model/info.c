// SPDX-License-Identifier: Apache-2.0
#include "core/model/info.h"

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
	[CHANGE_RECOVERED] = "recovered",
	[CHANGE_MACHINE] = "machine",
};

static const char *const check_status_names[_CHECK_MAX] = {
	[CHECK_NONE] = "none",
	[CHECK_OK] = "ok",
	[CHECK_LIMITED] = "limited",
	[CHECK_NO] = "no",
};

const char *change_name(enum change_kind kind)
{
	return kind < _CHANGE_MAX ? change_names[kind] : change_names[0];
}

const char *check_status_name(enum check_status s)
{
	return s < _CHECK_MAX ? check_status_names[s] : check_status_names[0];
}
