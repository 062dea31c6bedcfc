// SPDX-License-Identifier: Apache-2.0
#include "api/frame.h"

#include <errno.h>
#include <string.h>

int api_frame_next_max(struct bytes *in, size_t max, struct bytes *ret)
{
	size_t look = in->len < max ? in->len : max;
	const char *end = look ? memchr(in->at, '\0', look) : NULL;

	if (!end)
		return in->len < max ? 0 : -EMSGSIZE;
	*ret = (struct bytes){ in->at, (size_t)(end - in->at) };
	*in = bytes_skip(*in, ret->len + 1);
	return 1;
}

int api_frame_next(struct bytes *in, struct bytes *ret)
{
	return api_frame_next_max(in, API_MESSAGE_MAX, ret);
}
