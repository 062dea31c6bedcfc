// SPDX-License-Identifier: Apache-2.0
/* A duration that is taken is written as one that means the same, and no longer. */
#include "base/text.h"

#include "fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *text = fuzz_text(data, size);
	char form[TEXT_NUMBER_MAX], words[TEXT_NUMBER_MAX], quoted[TEXT_QUOTE_MAX];
	struct err err = ERR_NULL;
	uint64_t ns = 7, again = 0;

	FUZZ_CHECK(strlen(text_quote(quoted, text)) < TEXT_QUOTE_MAX);
	if (duration_parse(text, &ns, &err) < 0) {
		FUZZ_CHECK(err.code < 0 && err.text[0] && ns == 7);
		return 0;
	}
	FUZZ_CHECK(ns <= INT64_MAX);
	FUZZ_CHECK(duration_parse(duration_format(form, ns), &again, NULL) == 0);
	FUZZ_CHECK(again == ns);
	FUZZ_CHECK(strlen(duration_words(words, ns)) < TEXT_NUMBER_MAX - 1);
	return 0;
}
