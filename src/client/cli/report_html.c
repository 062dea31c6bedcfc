// SPDX-License-Identifier: Apache-2.0
#include "client/cli/report_html.h"

#include <string.h>

#include "base/text.h"

void report_text(FILE *f, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '&':
			fputs("&amp;", f);
			break;
		case '<':
			fputs("&lt;", f);
			break;
		case '>':
			fputs("&gt;", f);
			break;
		case '"':
			fputs("&quot;", f);
			break;
		case '\'':
			fputs("&#39;", f);
			break;
		default:
			fputc((unsigned char)*text < ' ' && *text != '\n' ? '?' : *text, f);
		}
	}
}

void report_duration(FILE *f, nsec_t ns)
{
	char buf[TEXT_NUMBER_MAX];

	fputs(duration_words(buf, ns), f);
}

void report_percent(FILE *f, double share)
{
	fprintf(f, "%.*g %%", share < 0.01 ? 2 : 3, share * 100);
}
