// SPDX-License-Identifier: Apache-2.0
#include "client/hook/state.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "client/hook/json_scan.h"

static bool is_scheduled(struct bytes state)
{
	struct bytes annotations, value;
	char text[16];
	int n = -1;

	if (scan_member(state, "annotations", &annotations) == 1 &&
		scan_member(annotations, STATE_ANNOTATION, &value) == 1)
		n = scan_text(value, text, sizeof(text));
	return n >= 0 && n < (int)sizeof(text) && strcmp(text, "runtime") == 0;
}

int oci_state_parse(struct bytes text, struct oci_state *ret, struct err *err)
{
	struct oci_state state;
	struct bytes id, pid;
	int64_t number;
	int len;

	if (!scan_valid(text) || !scan_is_object(text))
		return err_set(err, -EINVAL,
			"standard input is not the state of a container: "
			"takt-hook is for container runtimes to call");
	if (scan_member(text, "pid", &pid) != 1 || !scan_integer(pid, &number) || number < 1 ||
		number > INT_MAX)
		return err_set(err, -EINVAL,
			"the container's state names no process: use the hook "
			"as createRuntime");
	if (scan_member(text, "id", &id) != 1)
		return err_set(err, -EINVAL, "the container's state has no id");
	len = scan_text(id, state.id, sizeof(state.id));
	if (len < 1 || len >= (int)sizeof(state.id))
		return err_set(err, -EINVAL, "the container's id is not a text of 1 to %d bytes",
			STATE_ID_MAX - 1);
	state.pid = (pid_t)number;
	state.scheduled = is_scheduled(text);
	*ret = state;
	return 0;
}
